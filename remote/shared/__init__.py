"""One connection for every process of this user: the owner's end and the clients'."""

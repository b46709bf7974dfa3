"""The link process: one for each host and state folder, which holds the route and serves it.

    app, qa …  ──unix socket──▶  link process  ──SSH──▶  jump hosts ──▶ host

It outlives the program that started it, so a login lasts for the day, and decrypting takes no time from
the screens. What people type is asked for through the socket, by the program that wants to connect.
"""

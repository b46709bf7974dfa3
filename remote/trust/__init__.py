"""Is it the host it says it is? Keys and certificates on file, and what is said of others."""

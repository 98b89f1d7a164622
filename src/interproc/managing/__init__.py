"""What managers are made of: the server, a process's client of it, and the proxies. The public names: managers.py."""

"""A thread for each connection that is made to a listening socket."""
import threading


def serve_each(listener, serve):
    """serve(socket), until the listener is closed. Returns at once."""

    def accept():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    return thread

"""An origin that speaks HTTP/2 in the clear, as grpc_pass and proxy_http_version 2 ask it: one answer for each path, with trailers."""
import socket

import h2.config
import h2.connection
import h2.events
from harness.listener import serve_each


class H2Origin:
    """replies: path -> (header fields, pieces of the body, trailers)."""

    def __init__(self, replies):
        self.replies = replies
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        serve_each(self.listener, self._serve)

    def _serve(self, sock):
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        conn.initiate_connection()
        with sock:
            try:
                sock.sendall(conn.data_to_send())
                while data := sock.recv(65536):
                    for event in conn.receive_data(data):
                        if isinstance(event, h2.events.RequestReceived):
                            self._answer(conn, event)
                    sock.sendall(conn.data_to_send())
            except OSError:
                pass

    def _answer(self, conn, event):
        path = dict(event.headers)[":path"]
        self.requests.append(path)
        fields, pieces, trailers = self.replies[path]
        conn.send_headers(event.stream_id, [(":status", "200"), *fields])
        for piece in pieces:
            conn.send_data(event.stream_id, piece)
        if trailers:
            conn.send_headers(event.stream_id, trailers, end_stream=True)
        else:
            conn.end_stream(event.stream_id)

    def stop(self):
        self.listener.close()

"""The scripted origin behind uwsgi_pass and fastcgi_pass: the same replies, another wire."""
import struct

from .fastcgi import END, PARAMS, STDIN, STDOUT, parse_params
from .origin import Origin, Request

UWSGI_PARAMS = """uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $request_uri;
                  uwsgi_param PATH $uri;"""
FASTCGI_PARAMS = UWSGI_PARAMS.replace("uwsgi", "fastcgi")


class GatewayOrigin(Origin):
    """Each request has a connection of its own; PATH is the (sub)request's path, variables become its lines."""

    def _request(self, variables, body, number):
        lines = [f"{k[5:].replace('_', '-')}: {v}" for k, v in variables.items() if k.startswith("HTTP_")]
        return self._arrived(Request(variables["REQUEST_METHOD"], variables["PATH"], "CGI", lines, body, number))


class UwsgiOrigin(GatewayOrigin):
    def _read_request(self, stream, number):
        head = stream.read(4)
        if len(head) < 4:
            return None
        data = stream.read(struct.unpack("<BHB", head)[1])
        variables, at = {}, 0
        while at < len(data):
            pair = []
            for _ in range(2):
                n = struct.unpack_from("<H", data, at)[0]
                pair.append(data[at + 2:at + 2 + n].decode())
                at += 2 + n
            variables[pair[0]] = pair[1]
        return self._request(variables, b"", number)


class FastCgiOrigin(GatewayOrigin):
    class Records:
        """A socket whose bytes go out as records; the status line becomes a field."""

        def __init__(self, sock):
            self.sock, self.begun = sock, False

        def sendall(self, data):
            if not self.begun:
                data, self.begun = data.replace(b"HTTP/1.1 ", b"Status: ", 1), True
            for i in range(0, len(data), 60000):
                self.record(STDOUT, data[i:i + 60000])

        def record(self, kind, content):
            self.sock.sendall(struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content)

        def setsockopt(self, *option):
            self.sock.setsockopt(*option)

    def _read_request(self, stream, number):
        params = b""
        while len(head := stream.read(8)) == 8:
            _, kind, _, length, padding = struct.unpack(">BBHHBx", head)
            content = stream.read(length)
            stream.read(padding)
            if kind == PARAMS:
                params += content
            elif kind == STDIN and not content:
                return self._request(parse_params(params), b"", number)
        return None

    def _answer(self, sock, request, reply):
        records = self.Records(sock)
        super()._answer(records, request, reply)
        if reply.truncate is None and reply.raw is None:
            records.record(STDOUT, b"")
            records.record(END, struct.pack(">IB3x", 0, 0))
        return False

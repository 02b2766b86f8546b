"""The origin as a process: answers with the current version of each key, and fails at random until it is told to be well."""
import asyncio
import random
import signal
import socket
import struct
import time

from world import body_of, etag_of, kind_of, language_for, tag_of

FAILURE_RATE = 0.04
FAILURES = ("500", "503", "truncate", "reset", "reset early", "stall", "stall early", "garbage")
STALL_SECONDS = 2.6     # more than the proxy_read_timeout of the torture's nginx


async def read_request(reader):
    line = (await reader.readline()).decode("latin-1").split()
    if len(line) < 3:
        return None
    headers = {}
    while (raw := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = raw.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return line[0], line[1], headers


def header_lines(key, version, language):
    kind = kind_of(key)
    control = {"short": "max-age=1", "swr": "max-age=1, stale-while-revalidate=20", "no-store": "no-store",
               "revalidate": "max-age=1, must-revalidate"}.get(kind, "max-age=600")
    lines = [f"Cache-Control: {control}", f"ETag: {etag_of(key, version, language)}", f"Surrogate-Key: {tag_of(key)} all-of-it",
             "Content-Type: application/octet-stream", f"X-Key: {key}"]
    if kind == "vary":
        lines.append("Vary: X-Language")
    if kind == "cookie":
        lines.append(f"Set-Cookie: k={key}")
    return lines


class TortureOrigin:
    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)

    def failure(self, key):
        if self.world.healthy.is_set() or self.random.random() >= FAILURE_RATE:
            return None
        self.world.failed_at[key] = time.monotonic()
        return self.random.choice(FAILURES)

    async def serve(self, reader, writer):
        try:
            while (request := await read_request(reader)) is not None:
                if not await self.answer(writer, *request):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def answer(self, writer, method, target, headers):
        key = int(target.rpartition("/")[2])
        language = language_for(key, headers.get("x-language", ""))
        failure = self.failure(key)
        if failure == "stall early":
            await self.pause(STALL_SECONDS)
            self.world.failed_at[key] = time.monotonic()
        if failure == "reset early":
            self.reset(writer)
            return False
        if failure == "garbage":
            writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            return False
        if failure in ("500", "503"):
            writer.write(f"HTTP/1.1 {failure} Down\r\nContent-Length: 5\r\n\r\nsorry".encode())
            return True
        if self.random.random() < 0.2:      # so that purges, kills and waiters fall into a fill
            await self.pause(self.random.random() * 0.05)
        return await self.answer_well(writer, method, key, language, headers, failure)

    async def answer_well(self, writer, method, key, language, headers, failure):
        version = self.world.version[key]
        lines = header_lines(key, version, language)
        if failure is None and headers.get("if-none-match") == etag_of(key, version, language):
            writer.write(("HTTP/1.1 304 Not Modified\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
            return True
        body = body_of(key, version, language)
        kind = kind_of(key)
        if kind == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif kind == "close":
            lines.append("Connection: close")
            lines.append(f"Content-Length: {len(body)}")
        else:
            lines.append(f"Content-Length: {len(body)}")
        writer.write(("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        if method == "HEAD":
            return kind != "close"
        return await self.send_body(writer, key, body, kind, failure) and kind != "close"

    async def send_body(self, writer, key, body, kind, failure):
        cut = self.random.randrange(len(body)) if failure else len(body)
        pieces = self.random.choice((1, 1, 2, 5))
        step = max(1, -(-len(body) // pieces))
        for at in range(0, cut, step):
            piece = body[at:min(at + step, cut)]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if kind == "chunked" else piece)
            await writer.drain()
            if pieces > 1:
                await self.pause(self.random.random() * 0.01)
        if failure is not None:
            if failure == "stall":
                await self.pause(STALL_SECONDS)
            self.world.failed_at[key] = time.monotonic()
            if failure == "reset":
                self.reset(writer)
            return False
        if kind == "chunked":
            writer.write(b"0\r\n\r\n")
        return True

    @staticmethod
    async def pause(seconds):
        await asyncio.sleep(seconds)    # an origin that is slow is one that does nothing for a while

    @staticmethod
    def reset(writer):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def run_origin(world, sock, seed):
    """The body of the process; ends by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def main():
        origin = TortureOrigin(world, seed)
        server = await asyncio.start_server(origin.serve, sock=sock, backlog=512)
        async with server:
            await server.serve_forever()

    asyncio.run(main())

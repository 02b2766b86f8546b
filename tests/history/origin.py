"""The origin as a process: it reads a version, thinks, and answers in any of the ways there are."""
import asyncio
import random
import signal

from world import body_of, headers_of, key_of, tag_of, variant_of


async def read_request(reader):
    line = (await reader.readline()).decode("latin-1").split()
    headers = {}
    while (raw := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = raw.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if len(line) < 3:
        return None
    await reader.readexactly(int(headers.get("content-length", 0)))
    return line[0], line[1], headers


class Answers:
    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)

    async def serve(self, reader, writer):
        try:
            while (request := await read_request(reader)) is not None and await self.answer(writer, *request):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def answer(self, writer, method, target, headers):
        key, chance = key_of(target), self.random.random
        changes = method not in ("GET", "HEAD")
        # Read before the slow part, or after.
        version, early = (self.world.change([key])[key], True) if changes else (self.world.version[key], chance() < 0.6)
        if changes and chance() < 0.3:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        variant = variant_of(key, headers.get("x-variant", ""))
        if chance() < 0.5:
            await asyncio.sleep(chance() ** 2 * 0.12)
        if not early:
            version = self.world.version[key]
        if chance() < 0.03:
            writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            return True
        lines = headers_of(key, version, variant, "origin", self.random.choice((1, 2, 600, 600, 600)))
        if changes:
            lines = [*lines, f"Content-Location: {target}"]     # a GET would get the same
        if headers.get("if-none-match") == tag_of(version, variant, "origin"):
            writer.write(("HTTP/1.1 304 Same\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
            return True
        body = body_of(key, version, variant, "origin")
        if chance() < 0.5:
            writer.write(("HTTP/1.1 200 OK\r\n" + "\r\n".join((*lines, f"Content-Length: {len(body)}")) + "\r\n\r\n").encode())
            writer.write(body if method != "HEAD" else b"")
            return True
        writer.write(("HTTP/1.1 200 OK\r\n" + "\r\n".join((*lines, "Transfer-Encoding: chunked")) + "\r\n\r\n").encode())
        if method == "HEAD":
            return True
        for at in range(0, len(body), 4000):
            piece = body[at:at + 4000]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if chance() < 0.1:
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        return True


def run_origin(world, sock, seed):
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def main():
        server = await asyncio.start_server(Answers(world, seed).serve, sock=sock, limit=1 << 20)
        async with server:
            await server.serve_forever()

    asyncio.run(main())

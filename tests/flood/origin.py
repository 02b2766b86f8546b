"""The origin as a process: quick pages, large ones, slow ones that it holds back, and what it was asked for, counted."""
import asyncio
import multiprocessing
import signal
import socket

fork = multiprocessing.get_context("fork")
PAGE, LARGE = 1000, 700_000
WANTED = ("page", "film")                                           # by bystanders alone
COUNTED = (*WANTED, "large", "slow", "none", "junk", "POST")


class Asked:
    """Requests by their kind, the first part of the path."""

    def __init__(self):
        self.total = {kind: fork.Value("q", 0) for kind in COUNTED}
        self.open, self.most = fork.Value("q", 0), fork.Value("q", 0)     # slow ones under way
        self.answered = fork.Value("q", 0)                                # whole, whatever they were

    def begun(self):
        return sum(of_kind.value for of_kind in self.total.values())

    def by_bystanders(self):
        return sum(self.total[kind].value for kind in WANTED)


class Origin:
    def __init__(self):
        self.asked, self.go = Asked(), fork.Event()
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.process = fork.Process(target=self._run, daemon=True)
        self.process.start()

    def stop(self):
        self.process.kill()
        self.process.join()
        self.sock.close()

    # ---- in the process -----------------------------------------------------------------------------------------------
    def _run(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        async def main():
            self.may_go = asyncio.Event()
            watch = asyncio.create_task(self._watch_go())
            server = await asyncio.start_server(self._serve, sock=self.sock, limit=1 << 20, backlog=4096)
            async with server:
                await server.serve_forever()
            await watch

        asyncio.run(main())

    async def _watch_go(self):
        """The event of all processes becomes this one's."""
        await asyncio.get_running_loop().run_in_executor(None, self.go.wait)
        self.may_go.set()

    async def _serve(self, reader, writer):
        writer.transport.set_write_buffer_limits(0)
        try:
            while (request := await read_request(reader)) is not None:
                await self._answer(reader, writer, *request)
                await writer.drain()
                self.asked.answered.value += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer, method, target):
        kind = "POST" if method == "POST" else target.split("/")[1]
        self.asked.total[kind].value += 1
        if kind == "POST":
            writer.write(b"HTTP/1.1 302 Elsewhere\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
            return
        if kind == "none":
            writer.write(b"HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n")
            return
        if kind == "slow":
            await self._hold(reader)
        size = LARGE if kind in ("large", "film") else PAGE
        body = (target.encode() + b" ") * (size // (len(target) + 1) + 1)
        writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n" % size + body[:size])

    async def _hold(self, reader):
        """Until it may go on, or whoever asked has left."""
        self.asked.open.value += 1
        self.asked.most.value = max(self.asked.most.value, self.asked.open.value)
        try:
            left, go = asyncio.create_task(reader.read(1)), asyncio.create_task(self.may_go.wait())     # who waits sends nothing
            await asyncio.wait((left, go), return_when=asyncio.FIRST_COMPLETED)
            has_left = left.done()
            left.cancel()
            go.cancel()
            if has_left:
                raise ConnectionError
        finally:
            self.asked.open.value -= 1


async def read_request(reader):
    line = (await reader.readline()).decode("latin-1").split()
    length = 0
    while (raw := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = raw.decode("latin-1").partition(":")
        length = int(value) if name.lower() == "content-length" else length
    await reader.readexactly(length)
    return (line[0], line[1]) if len(line) == 3 else None

"""
A RabbitMQ node of one's own, for tests, benchmarks and demonstrations.

Nothing is shared with the machine's broker or with another private one: ports, node name, cookie,
data, log and the port mapper (epmd) belong to this node, everything listens on 127.0.0.1 only, and
nothing is left when the program ends, whichever way it ends::

    with PrivateBroker(config={"consumer_timeout": 5000}) as broker:
        async with atasks_ng.connect(broker.url):
            ...
        broker.kill()  # as a power cut
        broker.start()  # same port, same data

Needs POSIX and an installed ``rabbitmq-server``, which need be neither running nor configured.
"""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from .rabbitmq import HOW_TO_INSTALL, Node, find_epmd, find_server, free_port, free_ports

__all__ = ["HOW_TO_INSTALL", "PrivateBroker", "find_server", "free_port"]

_PORT_TRIES = 5
_POLL_SECONDS = 0.02
_EXCERPT_LINES = 30

# Ends and removes what the program could not, as soon as the pipe from it closes: after SIGKILL,
# too. Each line replaces the list of process groups. What has just been killed may have been
# writing, hence the second try.
_GUARD = """
trap '' HUP INT TERM
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }
"""


class PrivateBroker:
    """
    A RabbitMQ node that belongs to this program.

    Starting takes about two seconds. The node lives from ``start`` to ``stop`` or ``kill`` and may
    be started again, with its data and on its port, until ``close`` removes everything. As a
    context manager it starts on entry and closes on exit.

    Args:
        config: Lines of ``rabbitmq.conf``, for instance ``{"consumer_timeout": 5000}``. (Any of
            them costs half a second at each start.)
        server: The ``rabbitmq-server`` script; ``None`` takes what ``find_server`` finds.
        start_timeout: Longest start, in seconds.

    Raises:
        FileNotFoundError: There is no server on this machine; the text says how to install it.
    """

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        server: str | os.PathLike[str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        found = find_server() if server is None else Path(server)
        if found is None:
            raise FileNotFoundError(f"no rabbitmq-server on this machine: {HOW_TO_INSTALL}")
        self._server = found
        self._epmd_path = find_epmd()
        self._config = dict(config or {})
        self._start_timeout = start_timeout
        self._node = self._new_node()
        self._has_run = False
        self._log_start = 0
        self._owner_pid = os.getpid()
        self._guard: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server_process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = f"running, pid {self.pid}" if self.is_running() else "not running"
        return f"<PrivateBroker {self.url}: {state}>"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- what it is ----------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The AMQP port on 127.0.0.1; final as soon as the node has run once."""
        return self._node.port

    @property
    def url(self) -> str:
        """The URL to connect to; final as soon as the node has run once."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int | None:
        """The process id of the node, or ``None`` while it does not run."""
        process = self._server_process
        return process.pid if process is not None and process.poll() is None else None

    def is_running(self) -> bool:
        """Return whether the node's process lives; that of a paused node does."""
        return self.pid is not None

    def log(self) -> str:
        """Return what the node has logged since it was started last."""
        try:
            text = self._node.log_path.read_bytes()
        except FileNotFoundError:
            return ""
        return text[self._log_start :].decode(errors="replace")

    # -- what can be done to it ----------------------------------------------------------------

    def start(self) -> None:
        """
        Start the node and return when it takes connections; nothing happens if it runs.

        Raises:
            RuntimeError: The node ended while it started; the text has what it logged.
            TimeoutError: It was not ready in ``start_timeout``; the same.
        """
        if self.is_running():
            return
        for _ in range(_PORT_TRIES):
            try:
                self._launch()
            except _PortTakenError:
                self._end_processes()
                # Its clients know the port by now.
                if self._has_run:
                    raise
                self.close()
                self._node = self._new_node()
            except BaseException:
                self._end_processes()
                raise
            else:
                self._has_run = True
                return
        raise RuntimeError(f"found no free ports for a RabbitMQ node in {_PORT_TRIES} tries")

    def stop(self, timeout: float = 30.0) -> None:
        """
        Shut the node down in good order, as ``systemctl stop`` would; its data stays.

        Args:
            timeout: Seconds until it is killed instead.

        Raises:
            TimeoutError: It had to be killed; the text has what it logged.
        """
        self.resume()
        try:
            if self._server_process is not None:
                self._server_process.terminate()
                self._server_process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"RabbitMQ did not stop in {timeout:g} s and was killed\n{self._log_excerpt()}"
            ) from None
        finally:
            self._end_processes()

    def kill(self) -> None:
        """
        End the node as a power cut would (SIGKILL); ``start`` brings it back.

        What was declared a moment ago can be lost with it, as in a power cut; ``flush`` keeps it.
        Persistent messages that were confirmed are on disk.
        """
        if self._server_process is not None:
            self._server_process.kill()
            self._server_process.wait()
            self._server_process = None
            self._tell_guard()

    def flush(self) -> None:
        """Have the node write its declarations to disk now; takes half a second."""
        self.ctl("eval", "mnesia:sync_log().")

    def restart(self) -> None:
        """Stop the node in good order and start it again, with its data and on its port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen node go on (SIGCONT); one that is not frozen does not notice."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End the node at once and remove everything it has written. Closing twice is fine."""
        # A forked child has this object, too, but the processes are not its own.
        if os.getpid() != self._owner_pid:
            return
        self._end_processes()
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None
        atexit.unregister(self.close)

    def ctl(self, *arguments: str, timeout: float = 60.0) -> str:
        """
        Run ``rabbitmqctl`` against the node.

        Args:
            arguments: The command and its arguments, for instance ``"list_queues", "name"``.
            timeout: Longest run in seconds.

        Returns:
            What it printed, without banners.

        Raises:
            RuntimeError: The node does not run, or the command failed; the text says why.
            subprocess.TimeoutExpired: It took longer.
        """
        if not self.is_running():
            raise RuntimeError(f"rabbitmqctl needs a running node, start() it first: {self!r}")
        done = subprocess.run(
            [self._server.with_name("rabbitmqctl"), "-q", "-n", self._node.name, *arguments],
            env=self._node.ctl_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            said = (done.stderr + done.stdout).strip()
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {said}")
        return done.stdout

    def wait_listening(self, timeout: float) -> None:
        """
        Return when the node has booted and answers to AMQP.

        Args:
            timeout: Longest wait in seconds.

        Raises:
            RuntimeError: The node does not run; the text has what it logged.
            TimeoutError: It did not answer in time; the same.
        """
        end = time.monotonic() + timeout
        while not (self._answers() and self._has_booted()):
            if not self.is_running():
                raise RuntimeError(f"RabbitMQ is not running\n{self._log_excerpt()}")
            if time.monotonic() > end:
                raise TimeoutError(
                    f"RabbitMQ did not answer on port {self.port} in {timeout:g} s\n"
                    f"{self._log_excerpt()}"
                )
            time.sleep(_POLL_SECONDS)

    # -- inside --------------------------------------------------------------------------------

    def _new_node(self) -> Node:
        # The folder gets its name here and is made with the guard that will remove it.
        return Node(
            Path(tempfile.gettempdir()) / f"atasks-ng-{secrets.token_hex(8)}", *free_ports(3)
        )

    def _launch(self) -> None:
        if self._guard is None:
            self._make_folder()
        with self._node.log_path.open("ab") as log:
            self._log_start = log.tell()
            environment = self._node.server_environment()
            self._start_epmd(environment, log)
            self._server_process = _spawn([self._server], environment, log)
        self._tell_guard()
        try:
            self.wait_listening(self._start_timeout)
        except RuntimeError as error:
            if "eaddrinuse" in self.log():
                raise _PortTakenError(*error.args) from None
            raise

    def _make_folder(self) -> None:
        folder = self._node.folder
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        atexit.register(self.close)
        folder.mkdir(mode=0o700)
        self._node.write_settings(self._config)

    def _start_epmd(self, environment: dict[str, str], log: IO[bytes]) -> None:
        if self._epmd is not None and self._epmd.poll() is None:
            return
        port = self._node.epmd_port
        command: list[str | Path] = [self._epmd_path, "-port", str(port), "-address", "127.0.0.1"]
        self._epmd = _spawn(command, environment, log)
        self._tell_guard()
        # Whoever accepts may be somebody who was quicker to take the port: then ours has ended.
        while not _accepts(port) or self._epmd.poll() is not None:
            if self._epmd.poll() is not None:
                raise _PortTakenError(f"epmd could not listen on port {port}")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                # connection.start has the node's name among the properties of the server. Another
                # broker that was quicker to take the port must not pass for this one.
                return self._node.short_name.encode() in connection.recv(4096)
        except OSError:
            return False

    def _has_booted(self) -> bool:
        # It takes connections a moment earlier; "Starting broker... completed with 0 plugins."
        return "completed with" in self.log()

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def _tell_guard(self) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        processes = (self._server_process, self._epmd)
        line = " ".join(str(process.pid) for process in processes if process is not None)
        self._guard.stdin.write(line.encode() + b"\n")
        self._guard.stdin.flush()

    def _end_processes(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
        self._tell_guard()

    def _log_excerpt(self) -> str:
        """Return the log from its first error on (the later ones are echoes), or its end."""
        lines = self.log().splitlines()
        errors = [number for number, line in enumerate(lines) if "[error]" in line]
        start = errors[0] if errors else -_EXCERPT_LINES
        return "\n".join(lines[start:][:_EXCERPT_LINES])


class _PortTakenError(RuntimeError):
    """Somebody else took a port of the node between the search for it and its use."""


def _spawn(
    command: Sequence[str | Path], environment: dict[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment,
        cwd=environment["HOME"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Away from the terminal's Ctrl-C, which is meant for the program alone.
        start_new_session=True,
    )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

"""
A RabbitMQ node of one's own, for tests, benchmarks and demonstrations.

Nothing is shared with the machine's broker or with another private one: ports, node name, cookie,
data, log and the port mapper (epmd) belong to this node, everything listens on 127.0.0.1 only, and
nothing is left when the program ends, whichever way it ends.

    with PrivateBroker(config={"consumer_timeout": 5000}) as broker:
        connect(broker.url)
        broker.kill()     # as a power cut
        broker.start()    # same port, same data

Needs POSIX and a ``rabbitmq-server`` installation; it need not run, nor be configured.
"""

from __future__ import annotations

import atexit
import glob
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

__all__ = ["HOW_TO_INSTALL", "PrivateBroker", "find_server", "free_port"]

#: What to type where there is no server (Debian, Ubuntu).
HOW_TO_INSTALL = "apt-get install rabbitmq-server"

#: The real start scripts. A distribution's wrapper in /usr/sbin changes to another user, so it is
#: taken only when none of these exists.
_PLACES = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)

# Below what Linux (32768) and macOS (49152) give to outgoing connections: while a node is down, a
# client that tries to come back must not be handed the node's port as its own end. (It would even
# connect to itself.)
_FIRST_PORT, _LAST_PORT = 20_000, 32_767

_PORT_TRIES = 5
_POLL_SECONDS = 0.02

# While it boots, RabbitMQ asks all modules of its applications for their attributes, and Erlang
# loads them for that one by one. Loaded before, in parallel, the node starts in a third of the
# time (1.9 s instead of 5.8 s on two cores). `catch`: a version that differs starts slowly.
_PRELOAD = (
    "catch code:ensure_modules_loaded("
    '[list_to_atom(filename:basename(F, ".beam"))'
    " || {ok, As} <- [begin application:load(rabbit), application:get_key(rabbit, applications) end]"
    ", A <- [rabbit, mnesia | As]"
    ', F <- filelib:wildcard(code:lib_dir(A, ebin) ++ "/*.beam")])'
)

# Ends and removes what the program could not, when the pipe from it closes: also after SIGKILL.
# Each line replaces the list of process groups. A killed node may still be writing, hence twice.
_GUARD = """
trap '' HUP INT TERM
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }
"""


def find_server() -> Path | None:
    """Return the ``rabbitmq-server`` script of this machine, the newest first, or ``None``."""
    for place in _PLACES:
        if found := sorted(glob.glob(place), key=_version_of):
            return Path(found[-1])
    found_on_path = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found_on_path) if found_on_path else None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now and is not given to outgoing connections."""
    tries = (
        _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT + 1) for _ in range(_PORT_TRIES)
    )
    for port in (*tries, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise OSError("no free TCP port on 127.0.0.1")


class PrivateBroker:
    """
    A RabbitMQ node that belongs to this program.

    Starting takes about two seconds. The node lives from ``start`` to ``stop`` or ``kill`` and may
    be started again, with its data and on its port, until ``close`` removes everything. As a
    context manager it starts on entry and closes on exit.

    Args:
        config: Lines of ``rabbitmq.conf``, for instance ``{"consumer_timeout": 5000}``. (Reading
            any costs another half second at each start.)
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
        found = Path(server) if server is not None else find_server()
        if found is None:
            raise FileNotFoundError(f"no rabbitmq-server on this machine: {HOW_TO_INSTALL}")
        self._server = found
        self._epmd_path = _find_epmd()
        self._config = dict(config or {})
        self._start_timeout = start_timeout
        self._owner_pid = os.getpid()
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._has_run = False
        self._log_start = 0
        self._choose_ports()

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

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- what it is ----------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The AMQP port on 127.0.0.1; final as soon as the node has run once."""
        return self._port

    @property
    def url(self) -> str:
        """The URL to connect to; final as soon as the node has run once."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    @property
    def pid(self) -> int | None:
        """The process id of the node, or ``None`` while it does not run."""
        return self._node.pid if self._node is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Return whether the node's process lives; a paused one does."""
        return self._node is not None and self._node.poll() is None

    def log(self) -> str:
        """Return what the node has logged since it was started last."""
        if self._folder is None:
            return ""
        with (self._folder / "node.log").open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    # -- what can be done to it ----------------------------------------------------------------

    def start(self) -> None:
        """
        Start the node and return when it takes connections; nothing happens if it runs.

        Raises:
            RuntimeError: The node ended while it started; the text has the end of its log.
            TimeoutError: It was not ready in ``start_timeout``; the same.
        """
        if self.is_running():
            return
        for _ in range(_PORT_TRIES):
            try:
                self._launch()
            except _PortTakenError:
                self._end_processes()
                if self._has_run:
                    raise
                self._choose_ports()
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
            TimeoutError: It had to be killed; the text has the end of its log.
        """
        if self._node is None or not self.is_running():
            self._end_processes()
            return
        self.resume()
        self._node.terminate()
        try:
            self._node.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"RabbitMQ did not stop in {timeout:g} s and was killed\n{self._log_tail()}"
            ) from None
        finally:
            self._end_processes()

    def kill(self) -> None:
        """End the node as a power cut would (SIGKILL); ``start`` brings it back."""
        if self._node is not None:
            self._node.kill()
            self._node.wait()
            self._tell_guard()

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
        atexit.unregister(self.close)
        self._end_processes()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
        self._guard = self._folder = None

    def ctl(self, *arguments: str, timeout: float = 60.0) -> str:
        """
        Run ``rabbitmqctl`` against the node.

        Args:
            arguments: The command and its arguments, for instance ``"list_queues", "name"``.
            timeout: Longest run in seconds.

        Returns:
            What it printed, without banners.

        Raises:
            RuntimeError: It failed; the text is what it said.
            subprocess.TimeoutExpired: It took longer.
        """
        command = [str(self._server.with_name("rabbitmqctl")), "-q", "-n", self._name, *arguments]
        done = subprocess.run(
            command,
            env=self._environment(self._made_folder()),
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
        Return when the node answers to AMQP.

        Args:
            timeout: Longest wait in seconds.

        Raises:
            RuntimeError: The node ended; the text has the end of its log.
            TimeoutError: It did not answer in time; the same.
        """
        end = time.monotonic() + timeout
        while not self._answers():
            if not self.is_running():
                raise RuntimeError(f"RabbitMQ ended while it started\n{self._log_tail()}")
            if time.monotonic() > end:
                raise TimeoutError(
                    f"RabbitMQ did not answer on port {self._port} in {timeout:g} s\n"
                    + self._log_tail()
                )
            time.sleep(_POLL_SECONDS)

    # -- inside --------------------------------------------------------------------------------

    def _choose_ports(self) -> None:
        ports: set[int] = set()
        while len(ports) < 3:
            ports.add(free_port())
        self._port, self._distribution_port, self._epmd_port = ports
        self._name = f"private-{self._port}@localhost"

    def _launch(self) -> None:
        folder = self._made_folder()
        environment = self._environment(folder)
        with (folder / "node.log").open("ab") as log:
            self._log_start = log.tell()
            self._start_epmd(environment, log)
            environment["ERL_AFLAGS"] = f"-eval '{_PRELOAD}'"
            self._node = _spawn([str(self._server)], environment, log)
        self._tell_guard()
        try:
            self.wait_listening(self._start_timeout)
        except RuntimeError as error:
            if "eaddrinuse" in self.log():
                raise _PortTakenError(*error.args) from None
            raise

    def _start_epmd(self, environment: dict[str, str], log: IO[bytes]) -> None:
        if self._epmd is not None and self._epmd.poll() is None:
            return
        command = [self._epmd_path, "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = _spawn(command, environment, log)
        self._tell_guard()
        while not _accepts(self._epmd_port):
            time.sleep(_POLL_SECONDS / 10)
            if self._epmd.poll() is not None:
                raise _PortTakenError(f"epmd could not listen on port {self._epmd_port}")
        # Whoever accepted may be the process that has taken the port a moment before.
        if self._epmd.poll() is not None:
            raise _PortTakenError(f"epmd could not listen on port {self._epmd_port}")

    def _made_folder(self) -> Path:
        if self._folder is None:
            self._folder = folder = Path(tempfile.mkdtemp(prefix="atasks-ng-broker-"))
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
            atexit.register(self.close)
            cookie = folder / ".erlang.cookie"
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
            (folder / "enabled_plugins").write_text("[].\n")
            if self._config:
                (folder / "rabbitmq.conf").write_text(_conf_text(self._config))
        return self._folder

    def _environment(self, folder: Path) -> dict[str, str]:
        others = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_"))
        }
        dist = self._distribution_port
        ctl_port = str(free_port())
        local = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
        return others | {
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(dist),
            # Files that do not exist keep the machine's own in /etc/rabbitmq out.
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # To standard output, which is node.log.
            "RABBITMQ_LOGS": "-",
            # Makes the script become the node, instead of waiting for it: one pid, one signal.
            "RABBITMQ_ALLOW_INPUT": "1",
            # With a name on the command line the node does not start a second Erlang to find out
            # whether it may have it, which takes a second.
            "RABBITMQ_SERVER_START_ARGS": f"-noinput -sname {self._name} {local}"
            f" -kernel inet_dist_listen_min {dist} -kernel inet_dist_listen_max {dist}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "",
            "RABBITMQ_CTL_ERL_ARGS": local,
            "RABBITMQ_CTL_DIST_PORT_MIN": ctl_port,
            "RABBITMQ_CTL_DIST_PORT_MAX": ctl_port,
        }

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                # connection.start is a method frame (1) on channel 0.
                return connection.recv(3) == b"\x01\x00\x00"
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._node is not None and self.is_running():
            os.kill(self._node.pid, number)

    def _tell_guard(self) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        processes = [process for process in (self._node, self._epmd) if process is not None]
        line = " ".join(str(process.pid) for process in processes if process.poll() is None)
        self._guard.stdin.write(line.encode() + b"\n")
        self._guard.stdin.flush()

    def _end_processes(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        self._node = self._epmd = None
        self._tell_guard()

    def _log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-30:])


class _PortTakenError(RuntimeError):
    """Somebody else has taken a port of ours since it was found free."""


def _spawn(
    command: list[str], environment: dict[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment,
        cwd=environment["HOME"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Away from the terminal's Ctrl-C, which is meant for the program.
        start_new_session=True,
    )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _conf_text(config: Mapping[str, object]) -> str:
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return "".join(f"{key} = {text(value)}\n" for key, value in config.items())


def _version_of(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def _find_epmd() -> str:
    if found := shutil.which("epmd"):
        return found
    # Some packages put only `erl` on the path, and epmd into the runtime that it starts.
    if erl := shutil.which("erl"):
        root = Path(erl).resolve().parent.parent
        if beside := sorted(root.glob("erts-*/bin/epmd")) or sorted(root.glob("bin/epmd")):
            return str(beside[-1])
    raise FileNotFoundError(f"no epmd on this machine, which is part of Erlang: {HOW_TO_INSTALL}")

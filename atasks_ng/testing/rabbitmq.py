"""
Where RabbitMQ is on this machine, and how one node of it is told to keep to itself.

Nothing here starts a process; ``broker`` does, with what it finds here.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOW_TO_INSTALL", "Node", "find_epmd", "find_server", "free_port", "free_ports"]

#: What to type where there is no server (Debian, Ubuntu).
HOW_TO_INSTALL = "apt-get install rabbitmq-server"

# The real start scripts. A distribution's wrapper in /usr/sbin changes to another user, so it is
# taken only when none of these exists.
_PLACES = (
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "opt/rabbitmq/sbin/rabbitmq-server",
    "opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)

# Below what Linux (32768) and macOS (49152) give to outgoing connections: while a node is down, a
# client that tries to come back must not be handed the node's port as its own end. (It would even
# connect to itself.)
_FIRST_PORT, _LAST_PORT = 20_000, 32_767
_PORT_TRIES = 20

# While it boots, RabbitMQ asks all modules of its applications for their attributes, and Erlang
# loads them for that one by one. Loaded before, in parallel, the node starts in a third of the
# time (1.8 s instead of 5.8 s on two cores). `catch`: a version that differs just starts slowly.
_PRELOAD = (
    "catch code:ensure_modules_loaded("
    '[list_to_atom(filename:basename(F, ".beam"))'
    " || {ok, As} <- [begin application:load(rabbit),"
    " application:get_key(rabbit, applications) end]"
    ", A <- [rabbit, mnesia | As]"
    ', F <- filelib:wildcard(code:lib_dir(A, ebin) ++ "/*.beam")])'
)


def find_server() -> Path | None:
    """Return the ``rabbitmq-server`` script of this machine, the newest one, or ``None``."""
    for place in _PLACES:
        if found := sorted(Path("/").glob(place), key=_numbers_in):
            return found[-1]
    # /usr/sbin is not on everybody's path.
    on_path = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(on_path) if on_path else None


def find_epmd() -> Path:
    """
    Return Erlang's port mapper.

    Raises:
        FileNotFoundError: There is none; the text says how to install it.
    """
    if on_path := shutil.which("epmd"):
        return Path(on_path)
    # Some packages put only `erl` on the path, and epmd into the runtime that it starts.
    if erl := shutil.which("erl"):
        root = Path(erl).resolve().parent.parent
        if beside := sorted(root.glob("erts-*/bin/epmd"), key=_numbers_in):
            return beside[-1]
    raise FileNotFoundError(f"no epmd, a part of Erlang, on this machine: {HOW_TO_INSTALL}")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now and not one that connections start from."""
    span = _LAST_PORT - _FIRST_PORT + 1
    # Not from `random`: tests seed it, and two test runs would then find the same ports.
    tries = [_FIRST_PORT + secrets.randbelow(span) for _ in range(_PORT_TRIES)]
    for port in (*tries, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise OSError("no free TCP port on 127.0.0.1")


def free_ports(number: int) -> list[int]:
    """Return that many different ports, each as ``free_port`` finds it."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return list(ports)


@dataclass(frozen=True, slots=True)
class Node:
    """
    What one node may call its own; everything that it opens is on 127.0.0.1.

    Attributes:
        folder: Where its data, its settings and its cookie are; the node is called after it.
        port: Where it takes AMQP connections.
        distribution_port: Where other nodes and ``rabbitmqctl`` reach it.
        epmd_port: Where its own port mapper answers.
    """

    folder: Path
    port: int
    distribution_port: int
    epmd_port: int

    @property
    def short_name(self) -> str:
        """The name that no other node has, without the host."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The name in Erlang's terms; its data lies in a folder called like this."""
        return f"{self.short_name}@localhost"

    @property
    def log_path(self) -> Path:
        """Where the output of the node belongs."""
        return self.folder / "node.log"

    def write_settings(self, config: Mapping[str, object]) -> None:
        """Write the files that must be there before the node starts, once."""
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        # Erlang refuses a cookie that others can read.
        cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[].\n")
        # Without the file the node skips a parser that takes half a second.
        if config:
            lines = [f"{key} = {_conf_value(value)}\n" for key, value in config.items()]
            (self.folder / "rabbitmq.conf").write_text("".join(lines))

    def server_environment(self) -> dict[str, str]:
        """Return the environment for ``rabbitmq-server``, which becomes the node itself."""
        low_high = f"inet_dist_listen_min {self.distribution_port} -kernel inet_dist_listen_max"
        return self._environment() | {
            "ERL_AFLAGS": f"-eval '{_PRELOAD}'",
            # Makes the script become the node, instead of waiting for it: one pid, one signal.
            "RABBITMQ_ALLOW_INPUT": "1",
            # With a name on the command line the node does not start a second Erlang to find out
            # whether it may have it, which takes a second.
            "RABBITMQ_SERVER_START_ARGS": f"-noinput -sname {self.name} {_LOCAL}"
            f" -kernel {low_high} {self.distribution_port}",
        }

    def ctl_environment(self) -> dict[str, str]:
        """Return the environment for ``rabbitmqctl``, which is a short-lived node, too."""
        port = str(free_port())
        return self._environment() | {
            # No spinning while idle, as RabbitMQ sets it for its server: on a machine that has
            # other work, rabbitmqctl takes half as long.
            "RABBITMQ_CTL_ERL_ARGS": f"{_LOCAL} +sbwt none +sbwtdcpu none +sbwtdio none",
            "RABBITMQ_CTL_DIST_PORT_MIN": port,
            "RABBITMQ_CTL_DIST_PORT_MAX": port,
        }

    def _environment(self) -> dict[str, str]:
        foreign = ("RABBITMQ_", "ERL_")
        others = {key: text for key, text in os.environ.items() if not key.startswith(foreign)}
        return others | {
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # No crash dump: nobody reads it, and writing it delays the news of a failed start.
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            # Files that do not exist keep the machine's own in /etc/rabbitmq out.
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # To standard output, which goes to log_path.
            "RABBITMQ_LOGS": "-",
        }


_LOCAL = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"


def _conf_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers_in(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]

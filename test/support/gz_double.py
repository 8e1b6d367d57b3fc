"""A strict double of the programs `gz service` and `gz topic`, and of the world that they talk to.

    python gz_double.py FOLDER [FAULT] -- service|topic ARGUMENTS

It takes the arguments and the text that gz-transport f2996c6b documents and no others, and answers as its
src/cmd/gz.cc does: with status 0 whatever the answer. It treats commands as gz-sim 93bbf3e's UserCommands.cc
does: they are queued, done a little later, and refused then without a word.

The world is a file in FOLDER; its time is the wall clock's.
"""

import fcntl
import json
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FAULTS = (
    "silent",  # the service does not answer
    "refuses",  # it answers with an error
    "false",  # it answers false
    "hangs",  # `gz service` does not end
    "forgets",  # creates nothing
    "forgets_last",  # creates all but the last
    "keeps",  # removes nothing
    "restless",  # objects never rest
    "no_poses",
    "topic_ends",
    "garbage",  # poses that are not JSON
)
SERVICES = {"create_multiple": "gz.msgs.EntityFactory_V", "remove": "gz.msgs.Entity"}
TOPIC = "/world/bin/dynamic_pose/info"
QUEUE_TIME = 0.05  # [s] until a queued command is done
FALL_TIME = 0.2  # [s]
FALL = 0.01  # [m]
PERIOD = 1.0 / 60.0  # [s] of messages with poses
TOKEN = re.compile(r'\s*(?:([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*")|([:{}]))')


class UsageError(Exception):
    """The command line or its text is not what is documented."""


def parse_text(text: str) -> list[tuple[str, Any]]:
    """Parse protobuf's text format: `name: "text"`, `name: ENUM` and `name { ... }`."""
    tokens: list[str] = []
    place = 0
    while text[place:].strip():
        found = TOKEN.match(text, place)
        if found is None:
            raise UsageError(f"at {text[place:]!r}")
        tokens.append(found.group(0).strip())
        place = found.end()
    fields, rest = _fields(tokens)
    if rest:
        raise UsageError(f"unexpected {rest[0]}")
    return fields


def _fields(tokens: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    fields: list[tuple[str, Any]] = []
    while tokens and tokens[0] != "}":
        name, mark, *tokens = [*tokens, "", ""] if len(tokens) < 3 else tokens
        if mark == "{":
            inner, tokens = _fields(tokens)
            if tokens[:1] != ["}"]:
                raise UsageError(f"{name}: no closing brace")
            tokens = tokens[1:]
            fields.append((name, inner))
        elif mark == ":":
            value, *tokens = tokens
            fields.append((name, json.loads(value) if value.startswith('"') else value))
        else:
            raise UsageError(f"after {name}: {mark!r}")
    return fields, tokens


def check_request(service: str, fields: list[tuple[str, Any]]) -> list[dict[str, str]]:
    """Return the entities of a request; refuse what its message does not have."""
    if service == "remove":
        entity = dict(fields)
        if set(entity) != {"name", "type"} or entity["type"] != "MODEL":
            raise UsageError(f"gz.msgs.Entity {entity}")
        return [entity]
    entries = []
    for name, inner in fields:
        entry = dict(inner) if isinstance(inner, list) else {}
        if name != "data" or set(entry) != {"sdf_filename", "name"} or len(entry) != len(inner):
            raise UsageError(f"gz.msgs.EntityFactory_V {name} {inner}")
        entries.append(entry)
    return entries


class World:
    """The world in a file: when it began, its queue, and its models."""

    def __init__(self, folder: Path, fault: str) -> None:
        self.folder, self.fault = folder, fault

    @contextmanager
    def open(self) -> Iterator[dict[str, Any]]:
        """Read the world, do what is due, and write it back; nobody else does so meanwhile."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.folder / "world.json"
            world = json.loads(path.read_text()) if path.exists() else {"start": time.time(), "queue": []}
            world.setdefault("models", {})
            world.setdefault("log", [])
            self._do_what_is_due(world)
            yield world
            # In one piece: the double may be killed while it writes, and tests read without the lock.
            whole = path.with_suffix(".new")
            whole.write_text(json.dumps(world))
            whole.rename(path)

    def _do_what_is_due(self, world: dict[str, Any]) -> None:
        now = time.time()
        due = [entry for entry in world["queue"] if entry["due"] <= now]
        world["queue"] = [entry for entry in world["queue"] if entry["due"] > now]
        for command in due:
            if command["service"] == "remove" and self.fault != "keeps":
                for entity in command["entities"]:
                    world["models"].pop(entity["name"], None)
            elif command["service"] == "create_multiple" and self.fault != "forgets":
                self._create(world, command["entities"], now)

    def _create(self, world: dict[str, Any], entities: list[dict[str, str]], now: float) -> None:
        for entity in entities[:-1] if self.fault == "forgets_last" else entities:
            path = Path(entity["sdf_filename"])
            model = ElementTree.parse(path).find("model") if path.is_file() else None
            if model is None or entity["name"] in world["models"]:
                world["log"].append(f"not created: {entity['name']}")
                return  # the others are not tried
            pose = [float(value) for value in (model.findtext("pose") or "").split()]
            world["models"][entity["name"]] = {"pose": pose, "since": now}


def service(world: World, arguments: list[str]) -> int:
    """Be `gz service`: exactly its documented options, each once."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    if set(options) != {"-s", "--reqtype", "--reptype", "--timeout", "--req"} or len(options) * 2 != len(
        arguments
    ):
        raise UsageError(f"options {arguments}")
    timeout = int(options["--timeout"]) / 1000
    name = options["-s"].removeprefix("/world/bin/")
    if world.fault == "hangs":
        time.sleep(60.0)
    fits = (SERVICES.get(name), "gz.msgs.Boolean") == (options["--reqtype"], options["--reptype"])
    if not fits or world.fault == "silent":
        time.sleep(min(timeout, 0.1))
        sys.stderr.write("Service call timed out\n")
        return 0
    if world.fault in ("refuses", "false"):
        sys.stdout.write("Service call failed\n" if world.fault == "refuses" else "\n")
        return 0
    try:
        entities = check_request(name, parse_text(options["--req"]))
    except (UsageError, ValueError, IndexError) as error:
        kind, text = options["--reqtype"], options["--req"]
        sys.stderr.write(f"Unable to create request of type[{kind}] with data[{text}].\n{error}\n")
        return 0
    with world.open() as state:
        state["queue"].append({"service": name, "entities": entities, "due": time.time() + QUEUE_TIME})
    sys.stdout.write("data: true\n\n")
    return 0


def topic(world: World, arguments: list[str]) -> int:
    """Be `gz topic -e`: print the poses until killed."""
    if arguments != ["-e", "-t", TOPIC, "--json-output"]:
        raise UsageError(f"options {arguments}")
    if world.fault == "topic_ends":
        sys.stderr.write("terminate called without an active exception\n")
        return 134
    while True:
        time.sleep(PERIOD)
        if world.fault == "no_poses":
            continue
        with world.open() as state:
            line = "{" if world.fault == "garbage" else json.dumps(message(state, world.fault))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def message(world: dict[str, Any], fault: str) -> dict[str, Any]:
    """Return a gz.msgs.Pose_V as protobuf's JSON: without what is 0, 64 bit numbers as text."""
    now = time.time()
    elapsed = now - world["start"]
    poses = [entry("sim", [0.0] * 6 + [1.0]), entry("link", [0.0, 0.0, 0.333] + [0.0] * 3 + [1.0])]
    for name, model in world["models"].items():
        pose, age = list(model["pose"]), now - model["since"]
        pose[2] -= FALL * (age if fault == "restless" else min(age, FALL_TIME)) / FALL_TIME
        poses += [entry(name, pose), entry("link", [0.0] * 6 + [1.0])]
    stamp = {"sec": str(int(elapsed)), "nsec": int(elapsed % 1.0 * 1e9)}
    return {"header": {"stamp": {key: value for key, value in stamp.items() if value}}, "pose": poses}


def entry(name: str, pose: list[float]) -> dict[str, Any]:
    """Return one gz.msgs.Pose of x y z qx qy qz qw."""
    position = {axis: value for axis, value in zip("xyz", pose[:3], strict=True) if value}
    turn = {axis: value for axis, value in zip("xyzw", pose[3:], strict=True) if value}
    return {"name": name, "id": 8, "position": position, "orientation": turn}


def main(words: list[str]) -> int:
    """Run one command."""
    own, (command, *arguments) = words[: words.index("--")], words[words.index("--") + 1 :]
    folder, fault = Path(own[0]), own[1] if len(own) > 1 else ""
    if fault and fault not in FAULTS:
        raise UsageError(f"fault {fault}")
    try:
        return {"service": service, "topic": topic}[command](World(folder, fault), arguments)
    except (UsageError, KeyError, ValueError) as error:
        sys.stderr.write(f"The following arguments were not expected: {error}\n")
        return 106


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A relay for dead drops, from the text of NIP-DD (../DD.md) and the NIPs it names alone."""

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import time
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from aiohttp import WSMsgType, web
from coincurve import PublicKeyXOnly
from yarl import URL

MESSAGE, DELETION, VANISH, WRAP, ACKNOWLEDGEMENT, EPHEMERAL_WRAP = 4, 5, 62, 1059, 20221, 21059
AUTH, AUTH_SECONDS = 22242, 600  # and how far its time may be off (NIP-42)
FUZZ = 172800  # how far senders move `created_at` back (NIP-59)
SKEW = 900  # how far it may be ahead
HOLD_SECONDS = 0.5  # how long a request waits for AUTH
FOREVER = 1 << 62
LIMITATION = {"max_limit": 500, "min_pow_difficulty": 0}
DEAD_DROP = {
    "retention": 30 * 86400,
    "max_event_bytes": 65536,
    "max_drops": 5000,
    "max_bytes": 64 << 20,
    "max_acknowledgement_ids": 1000,
    "max_early_acknowledgements": 10000,
    "max_auth_keys": 1000,
}
CORS = {f"Access-Control-Allow-{what}": "*" for what in ("Origin", "Methods", "Headers")}
FORGED = "invalid: not an event, or not signed by its key"
DUPLICATE = "duplicate: already have this event"
Event = dict[str, Any]
Filter = dict[str, Any]
compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
is_hex, is_number = re.compile("[0-9a-f]{64}").fullmatch, re.compile("[0-9]+").fullmatch


def parsed(text: str | bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)


def address(url: str) -> tuple[str | None, int | None]:
    """The host and the port, also one that the scheme implies."""
    with suppress(ValueError):
        return URL(url).host, URL(url).port
    return None, None


def verified(value: Any) -> Event | None:
    """The event, if it is one (NIP-01). Its id is of either spelling of control characters."""
    names = ("id", "pubkey", "created_at", "kind", "tags", "content", "sig")
    with suppress(LookupError, TypeError, ValueError):
        event = {name: value[name] for name in names}
        id, pubkey, created_at, kind, tags, content, sig = event.values()
        escaped, control = compact([0, *list(event.values())[1:-1]]), r"\\(?:u00([01][0-9a-f])|.)"
        verbatim = re.sub(control, lambda m: chr(int(m[1], 16)) if m[1] else m[0], escaped)
        if (
            (type(created_at), type(kind), type(tags)) == (int, int, list)
            and 0 <= created_at < FOREVER
            and all(type(tag) is list and tag for tag in tags)
            and all(type(text) is str for tag in [[content], *tags] for text in tag)
            and id in [hashlib.sha256(text.encode()).hexdigest() for text in (escaped, verbatim)]
            and re.fullmatch("[0-9a-f]{192}", pubkey + sig)
            and PublicKeyXOnly(bytes.fromhex(pubkey)).verify(bytes.fromhex(sig), bytes.fromhex(id))
        ):
            return event
    return None


def values(event: Event, name: str) -> list[str]:
    """The values of the tags with this name, "" for a tag without one."""
    return [(tag + [""])[1] for tag in event["tags"] if tag[0] == name]


def times(event: Event, name: str) -> list[int]:
    """-1 for what is not decimal digits. 18 of these reach beyond any clock."""
    return [int(v.lstrip("0")[:18] or 0) if is_number(v) else -1 for v in values(event, name)]


def is_filter(value: Any) -> bool:
    """By its names, and the types of its values: what else no event has matches none."""
    return isinstance(value, dict) and all(
        re.fullmatch("ids|authors|kinds|since|until|limit|#[a-zA-Z]", name)
        and type(wanted) is (int if name in ("since", "until", "limit") else list)
        for name, wanted in value.items()
    )


def matches(filter: Filter, event: Event) -> bool:
    fields = {"ids": [event["id"]], "authors": [event["pubkey"]], "kinds": [event["kind"]]}
    return filter.get("since", 0) <= event["created_at"] <= filter.get("until", FOREVER) and all(
        any(value in filter[name] for value in fields.get(name) or values(event, name[1:]))
        for name in filter.keys() - {"since", "until", "limit"}
    )


# A row is a drop, or a tombstone when it has no `event`, or one of a drop that was not seen yet
# when it has no `created_at`. It is served before `held_until`, and forgotten at `expires_at`.
# A `retention` applies to a `created_at` behind its `since` up to that of the next one.
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS drops (
  recipient TEXT NOT NULL, id TEXT NOT NULL, created_at INTEGER, held_until INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, bytes INTEGER, event TEXT, PRIMARY KEY (recipient, id));
CREATE INDEX IF NOT EXISTS boxes ON drops (recipient, created_at DESC, id, held_until, bytes);
CREATE INDEX IF NOT EXISTS messages ON drops (event ->> 'pubkey') WHERE event ->> 'kind' = 4;
CREATE INDEX IF NOT EXISTS leaving ON drops (held_until) WHERE event IS NOT NULL;
CREATE INDEX IF NOT EXISTS expiring ON drops (expires_at);
CREATE TABLE IF NOT EXISTS retentions (since INTEGER NOT NULL, retention INTEGER NOT NULL);
"""
LISTED = "IN (SELECT value FROM json_each(?))"
WRITTEN = "event ->> 'kind' = 4 AND event ->> 'pubkey' = ?"


class Relay:
    """Checks, holds and delivers, one event after the other: what it has answered is committed."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings, self.db = settings, sqlite3.connect(settings.data)
        self.db.executescript(SCHEMA)
        last = "SELECT retention FROM retentions ORDER BY rowid DESC LIMIT 1"
        change = f"INSERT INTO retentions SELECT ?1, ?2 WHERE ?2 IS NOT ({last})"
        with self.db:
            self.db.execute(change, (int(time.time()) + SKEW, settings.retention))
        query = "SELECT lead(since, 1, ?) OVER (ORDER BY rowid), retention FROM retentions"
        self.retentions: list[tuple[int, int]] = self.db.execute(query, (FOREVER,)).fetchall()
        self.addresses = {address(url) for url in settings.url} - {address("")}
        self.connections: WeakSet[Connection] = WeakSet()
        self.max_message_length = settings.max_event_bytes + 128 * settings.max_acknowledgement_ids
        self.takers = {kind: self.hold for kind in (MESSAGE, WRAP)}
        self.takers |= {kind: self.acknowledge for kind in (ACKNOWLEDGEMENT, DELETION)}
        self.takers |= {VANISH: self.vanish, EPHEMERAL_WRAP: lambda event, now: ("", True)}
        self.app = web.Application(client_max_size=self.max_message_length)
        self.app.on_startup.append(self.sweep)
        self.app.router.add_get("/", self.root)

    def publish(self, value: Any) -> tuple[bool, str]:
        """The one way in, and what OK says."""
        event, now = verified(value), int(time.time())
        if event is None or (reason := self.fault(event, now)):
            return False, FORGED if event is None else reason
        reason, is_live = "error: the storage failed", False
        with suppress(sqlite3.Error), self.db:
            reason, is_live = self.takers[event["kind"]](event, now)
        for connection in self.connections if is_live else ():
            connection.offer(event)
        return reason in ("", DUPLICATE), reason

    def fault(self, event: Event, now: int) -> str:
        """Why it must not be taken, whatever is held; or nothing."""
        kind, settings = event["kind"], self.settings
        ids, recipients, relays = (values(event, name) for name in ("e", "p", "relay"))
        is_drop = kind in (MESSAGE, WRAP, EPHEMERAL_WRAP)
        is_ack = kind in (ACKNOWLEDGEMENT, DELETION)
        is_here = "ALL_RELAYS" in relays or any(address(url) in self.addresses for url in relays)
        size, work = len(compact(event).encode()), 256 - int(event["id"], 16).bit_length()
        faults = [
            (kind not in self.takers, "blocked: this relay holds dead drops alone"),
            (is_drop and size > settings.max_event_bytes, "invalid: the event is too large"),
            (is_drop and not is_hex(" ".join(recipients)), "invalid: not one p tag, with a key"),
            (kind == ACKNOWLEDGEMENT and not ids, "invalid: no e tag"),
            (is_ack and not all(map(is_hex, ids)), "invalid: an e tag is not an id in hex"),
            (is_ack and len(ids) > settings.max_acknowledgement_ids, "invalid: too many ids"),
            (kind == VANISH and not is_here, "invalid: meant for other relays"),
            (is_ack and -1 in times(event, "grace"), "invalid: a grace is not decimal digits"),
            (not is_ack and event["created_at"] > now + SKEW, "invalid: dated too far ahead"),
            (is_drop and now >= self.expiry(event), "invalid: the drop has expired"),
            (is_drop and work < settings.min_pow_difficulty, "pow: more work is needed"),
        ]
        return next((reason for is_found, reason in faults if is_found), "")

    def expiry(self, drop: Event) -> int:
        """min(expiration tag, created_at + 172800 + retention)"""
        retention = next(r for until, r in self.retentions if drop["created_at"] <= until)
        return min([drop["created_at"] + FUZZ + retention, *times(drop, "expiration")])

    def has_room(self) -> bool:
        """Some is left for acknowledgements of what is held."""
        return shutil.disk_usage(self.settings.data).free >= self.settings.reserved_bytes

    def hold(self, event: Event, now: int) -> tuple[str, bool]:
        """One way for the held and the acknowledged, which get "the same answer"."""
        [recipient], expiry, text = values(event, "p"), self.expiry(event), compact(event)
        known = "SELECT created_at FROM drops WHERE recipient = ? AND id = ?"
        row = self.db.execute(known, (recipient, event["id"])).fetchone()
        if row is not None and row[0] is not None:
            return DUPLICATE, False
        used = "SELECT count(*), total(bytes) FROM drops WHERE recipient = ? AND held_until > ?"
        drops, bytes = self.db.execute(used, (recipient, now)).fetchone()
        size = len(text.encode())
        if drops >= self.settings.max_drops or bytes + size > self.settings.max_bytes:
            return "rate-limited: the box is full", False
        if not self.has_room():
            return "error: the storage is full", False
        until, kept = (expiry, text) if row is None else (now, None)
        columns = (recipient, event["id"], event["created_at"], until, expiry, size, kept)
        self.db.execute("REPLACE INTO drops VALUES (?, ?, ?, ?, ?, ?, ?)", columns)
        return "", row is None

    def acknowledge(self, event: Event, now: int) -> tuple[str, bool]:
        """Kinds 20221 and 5. What is held is deleted "all the same" if new ids are not taken."""
        signer, ids = event["pubkey"], set(values(event, "e"))
        named, until = (signer, json.dumps(list(ids))), min(times(event, "grace"), default=now)
        self.release(f"recipient = ? AND id {LISTED}", named, until, now)
        if event["kind"] == DELETION:
            self.release(f"{WRITTEN} AND id {LISTED}", named, until, now)
        seen = f"SELECT id FROM drops WHERE recipient = ? AND id {LISTED} AND created_at NOT NULL"
        unseen = ids - {id for (id,) in self.db.execute(seen, named)}
        # After it nothing that exists now could be accepted any more.
        life = SKEW + FUZZ + max(r for until, r in self.retentions if until + FUZZ + r > now)
        if not unseen or not now - life <= event["created_at"] <= now + SKEW:
            return "", False
        early = "SELECT id FROM drops WHERE recipient = ? AND created_at IS NULL"
        remembered = unseen.union(id for (id,) in self.db.execute(early, (signer,)))
        if len(remembered) > self.settings.max_early_acknowledgements:
            return "rate-limited: too many drops that have not come", False
        if not self.has_room():
            return "error: the storage is full", False
        tombstone = "REPLACE INTO drops VALUES (?, ?, NULL, 0, ?, NULL, NULL)"
        self.db.executemany(tombstone, [(signer, id, now + life) for id in unseen])
        return "", False

    def vanish(self, event: Event, now: int) -> tuple[str, bool]:
        """One "published again MUST NOT delete what came after it": it has a tombstone, too."""
        signer, until = event["pubkey"], event["created_at"]
        once = "INSERT OR IGNORE INTO drops VALUES ('', ?, ?, 0, ?, NULL, NULL)"
        tombstone = (event["id"], until, until + FUZZ + max(r for _, r in self.retentions))
        if self.db.execute(once, tombstone).rowcount == 1:
            for whose in ("recipient = ?", WRITTEN):
                self.release(f"{whose} AND created_at <= ?", (signer, until), now, now)
        return "", False

    def release(self, which: str, named: tuple[Any, ...], until: int, now: int) -> None:
        """Has drops held no longer than `until`, and leaves tombstones of those past it."""
        new = "held_until = min(held_until, ?), event = iif(min(held_until, ?) > ?, event, NULL)"
        self.db.execute(f"UPDATE drops SET {new} WHERE {which}", (until, until, now, *named))

    async def sweep(self, app: web.Application) -> None:
        """Forgets what has expired, a tombstone with its drop, and again in a second."""
        now, loop = int(time.time()), asyncio.get_running_loop()
        with suppress(sqlite3.Error), self.db:
            self.release("event IS NOT NULL AND held_until <= ?", (now,), now, now)
            self.db.execute("DELETE FROM drops WHERE expires_at <= ?", (now,))
        loop.call_later(1, lambda: loop.create_task(self.sweep(app)))

    def find(self, filters: list[Filter], most: int) -> tuple[list[Event], bool]:
        """At most so many drops that match, newest first; and whether these are all (NIP-67)."""
        found, left = list[Event](), [filter.get("limit", FOREVER) for filter in filters]
        keys = json.dumps([key for filter in filters for key in filter["#p"]])
        held = f"recipient {LISTED} AND held_until > ? ORDER BY created_at DESC, id"
        rows = self.db.execute(f"SELECT event FROM drops WHERE {held}", (keys, int(time.time())))
        for event in (json.loads(text) for (text,) in rows):
            matching = [n for n, filter in enumerate(filters) if matches(filter, event)]
            if matching and (len(found) == most or all(left[n] <= 0 for n in matching)):
                return found, False
            found += [event] if matching else []
            left = [count - (n in matching) for n, count in enumerate(left)]
        return found, True

    def document(self) -> dict[str, Any]:
        """NIP-11. The `retention` is the least for what is dated up to 172800 seconds back."""
        now, settings, former = int(time.time()), vars(self.settings), self.retentions[:-1]
        held = [{"until": u, "retention": r} for u, r in former if u + FUZZ + r > now]
        return {
            "name": "dead drops",
            "supported_nips": [1, 9, 11, 13, 17, 40, 42, 45, 59, 62, 67],
            "limitation": {
                **{name: settings[name] for name in LIMITATION},
                "max_message_length": self.max_message_length,
                "restricted_writes": True,
            },
            "dead_drop": {
                **{name: settings[name] for name in DEAD_DROP},
                "kinds": [MESSAGE, WRAP],
                "retention": min(r for until, r in self.retentions if until >= now - FUZZ),
                "former_retentions": held,
            },
        }

    async def root(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            told, type = self.document(), "application/nostr+json"
            return web.json_response(told, content_type=type, headers=CORS)
        socket = web.WebSocketResponse(max_msg_size=self.max_message_length, compress=False)
        await socket.prepare(request)
        connection = Connection(self, socket)
        self.connections.add(connection)
        async for message in socket:
            await connection.take(message.data if message.type is WSMsgType.TEXT else "")
        return socket


class Connection:
    """A WebSocket with its keys, and its subscriptions: empty ones while they wait for AUTH."""

    def __init__(self, relay: Relay, socket: web.WebSocketResponse) -> None:
        self.relay, self.socket, self.keys = relay, socket, set[str]()
        self.challenge: str | None = None
        self.subscriptions: dict[tuple[str, str], list[Filter]] = {}
        self.auth_answered = asyncio.Future[None]()

    async def send(self, *message: Any) -> None:
        with suppress(ConnectionError):
            await self.socket.send_str(json.dumps(message))  # waits while it is not read

    def offer(self, event: Event) -> None:
        for (_, id), filters in self.subscriptions.items():
            if any(matches(filter, event) for filter in filters):
                asyncio.ensure_future(self.send("EVENT", id, event))

    async def take(self, text: str) -> None:
        match parsed(text):
            case ["EVENT", {"id": str(id)} as event]:
                await self.send("OK", id, *self.relay.publish(event))
            case ["AUTH", {"id": str(id)} as event]:
                await self.send("OK", id, *self.authenticate(event))
                self.auth_answered.set_result(None)
                self.auth_answered = asyncio.Future()
            case ["REQ" | "COUNT" as verb, str(id), *filters]:
                self.subscriptions[verb, id] = waiting = list[Filter]()
                requested = asyncio.ensure_future(self.request(verb, id, filters, waiting))
                if self.keys:
                    await requested
            case ["CLOSE", str(id)]:
                self.subscriptions.pop(("REQ", id), None)
            case _:
                await self.send("NOTICE", "invalid: not a message of NIP-01, 42 or 45")

    def authenticate(self, value: Any) -> tuple[bool, str]:
        if (event := verified(value)) is None:
            return False, FORGED
        age, keys = abs(time.time() - event["created_at"]), self.keys | {event["pubkey"]}
        is_here = self.relay.addresses & {*map(address, values(event, "relay")[:1])}
        faults = [
            (event["kind"] != AUTH or age > AUTH_SECONDS, "invalid: the kind or the time"),
            (values(event, "challenge")[:1] != [self.challenge], "invalid: not this challenge"),
            (not is_here, "invalid: for another relay"),
            (len(keys) > self.relay.settings.max_auth_keys, "restricted: too many keys"),
        ]
        reason = next((reason for is_found, reason in faults if is_found), "")
        self.keys = self.keys if reason else keys
        return not reason, reason

    async def request(self, verb: str, id: str, filters: list[Any], waiting: list[Filter]) -> None:
        """Holds one that comes without a key "until `AUTH` is answered, or half a second"."""
        if self.challenge is None:
            self.challenge = os.urandom(16).hex()
            await self.send("AUTH", self.challenge)
        if not self.keys:
            await asyncio.wait([self.auth_answered], timeout=HOLD_SECONDS)
        if self.subscriptions.get((verb, id)) is not waiting:
            return  # closed, or replaced
        del self.subscriptions[verb, id]
        if not (0 < len(id) <= 64 and filters and all(map(is_filter, filters))):
            return await self.send("CLOSED", id, "invalid: a malformed filter or id, or no filter")
        # Without `#p` it names all keys; what it names beside these is ignored.
        own = [{**f, "#p": [k for k in self.keys if k in f.get("#p", [k])]} for f in filters]
        own = [filter for filter in own if filter["#p"]]
        if not own:
            await self.send("AUTH", self.challenge)
            other = "restricted: drops are shown to their recipients alone"
            await self.send("CLOSED", id, other if self.keys else "auth-required: who asks?")
        elif verb == "COUNT":
            await self.send("COUNT", id, {"count": len(self.relay.find(own, FOREVER)[0])})
        else:
            self.subscriptions[verb, id] = own  # from now on it misses nothing
            drops, is_whole = self.relay.find(own, self.relay.settings.max_limit)
            for drop in drops:
                await self.send("EVENT", id, drop)
            await self.send("EOSE", id, ["finish" if is_whole else "more"])


def main(kind: type[Relay] = Relay) -> None:
    parser = argparse.ArgumentParser(description="A relay for dead drops.")
    parser.add_argument("--listen", default="127.0.0.1:7777", help="host:port")
    parser.add_argument("--data", default="drops.sqlite", help="the file of the database")
    parser.add_argument("--url", action="append", help="ws://… or wss://…, may be repeated")
    for name, value in {**DEAD_DROP, **LIMITATION, "reserved_bytes": 64 << 20}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    settings = parser.parse_args()
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host, int(port)))
    url = "ws://{}:{}".format(*listener.getsockname())
    settings.url = settings.url or [url]
    print(f"listening on {url}", flush=True)
    web.run_app(kind(settings).app, sock=listener, print=None, access_log=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()

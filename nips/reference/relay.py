"""A relay for dead drops, written from the text of NIP-DD (../DD.md) and NIP-DH (../DH.md).

All runs in one thread. Reads go to the database at once; what changes it waits for the next turn
of the loop, is written in one transaction with all else that waits, and answered after the commit.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
import shutil
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from bech32 import bech32_decode, convertbits
from coincurve import PublicKeyXOnly

MESSAGE, DELETION, VANISH, WRAP, ACKNOWLEDGEMENT = 4, 5, 62, 1059, 20221
EPHEMERAL_WRAP, AUTHENTICATION, HTTP_AUTHENTICATION = 21059, 22242, 27235
FUZZ = 172800  # NIP-59: how far senders move `created_at` back
SKEW = 900  # how far `created_at` may be ahead
AUTH_SECONDS, HTTP_AUTH_SECONDS = 600, 60  # NIP-42, NIP-98
HOLD_SECONDS = 0.5  # how long a request waits for AUTH
SWEEP_SECONDS, POLL_SECONDS, MAX_WAIT_SECONDS = 1, 0.2, 60
MAX_SUBSCRIPTION_ID, MAX_FILTERS, MAX_SUBSCRIPTIONS = 64, 20, 50
MAX_UNREAD = 2000  # messages for a slow reader; one with more is cut off, and asks again
FOREVER = 1 << 62

ADVERTISED = {"max_event_bytes": 65536, "max_drops": 5000, "max_bytes": 64 << 20}
ADVERTISED |= {"max_acknowledgement_ids": 1000, "max_early_acknowledgements": 10000}
ADVERTISED |= {"max_auth_keys": 1000}
# The most drops in an answer, bits of work, and bytes of the disk left for acknowledgements.
OTHERS = {"max_limit": 500, "min_pow_difficulty": 0, "reserved_bytes": 64 << 20}

Event = Filter = dict[str, Any]
compact = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


class Answer(NamedTuple):
    """What an event is answered with: in `OK`, and over HTTP with a status."""

    accepted: bool
    reason: str
    status: int


HELD, AS_IF_HELD = Answer(True, "", 201), Answer(True, "", 201)
PASSED_ON, DONE = Answer(True, "", 202), Answer(True, "", 200)
DUPLICATE = Answer(True, "duplicate: already have this event", 200)
BOX_FULL = Answer(False, "rate-limited: the box is full", 507)
STORAGE_FULL = Answer(False, "error: the storage is full", 507)
TOO_MANY_UNSEEN = Answer(False, "rate-limited: too many drops that have not come", 429)
STATUSES = {"invalid": 400, "blocked": 403, "restricted": 403, "pow": 422}


class Refusal(Exception):
    """Why something is not done, with a prefix of NIP-01."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.answer = Answer(False, reason, status or STATUSES[reason.partition(":")[0]])


def is_text(value: Any, form: str = "[^\ud800-\udfff]*") -> bool:
    return isinstance(value, str) and re.fullmatch(form, value) is not None


def is_number(value: Any, limit: int = FOREVER) -> bool:
    return type(value) is int and 0 <= value < limit


def is_list(value: Any, of: Callable[[Any], bool], least: int = 0) -> bool:
    return isinstance(value, list) and len(value) >= least and all(map(of, value))


is_hex, is_texts = partial(is_text, form="[0-9a-f]{64}"), partial(is_list, of=is_text)
EVENT = {"id": is_hex, "pubkey": is_hex, "created_at": is_number}
EVENT |= {"kind": partial(is_number, limit=1 << 16)}
EVENT |= {"tags": partial(is_list, of=partial(is_texts, least=1)), "content": is_text}
EVENT |= {"sig": partial(is_text, form="[0-9a-f]{128}")}
FILTER = dict.fromkeys(("ids", "authors", "#e", "#p"), partial(is_list, of=is_hex))
FILTER |= dict.fromkeys(("since", "until", "limit"), is_number)
FILTER |= {"kinds": partial(is_list, of=is_number)}


def parse_event(value: Any) -> Event:
    """Refuses what has not the form of an event (NIP-01)."""
    for name, is_right in EVENT.items():
        if not isinstance(value, dict) or not is_right(value.get(name)):
            raise Refusal(f"invalid: not an event, or with a malformed {name}")
    return {name: value[name] for name in EVENT}


def parse_filter(value: Any) -> Filter:
    """Refuses what has not the form of a filter (NIP-01)."""
    for name, wanted in value.items() if isinstance(value, dict) else [("filter", value)]:
        if not (name in FILTER or is_text(name, "#[a-zA-Z]")):
            raise Refusal(f"invalid: a filter with an unknown {name}")
        if not FILTER.get(name, is_texts)(wanted):
            raise Refusal(f"invalid: a filter with a malformed {name}")
    return value


def values(event: Event, name: str) -> list[str]:
    """The values of the tags with this name, "" for a tag without one."""
    return [(tag + [""])[1] for tag in event["tags"] if tag[0] == name]


def times(event: Event, name: str) -> list[int]:
    """The values that MUST be decimal digits, of which 18 reach far beyond any clock."""
    if not all(is_text(value, "[0-9]+") for value in values(event, name)):
        raise Refusal(f"invalid: {name} is not decimal digits")
    return [int(value.lstrip("0")[:18] or 0) for value in values(event, name)]


def verify(event: Event) -> None:
    """Refuses a wrong id or signature. "A relay MUST accept ids for which control characters were
    hashed verbatim, as in NIP-01, or as \\u00XX, as in JSON."
    """
    names = ("pubkey", "created_at", "kind", "tags", "content")
    escaped = compact([0, *(event[name] for name in names)])
    control = r"\\(?:u00([01][0-9a-f])|.)"
    verbatim = re.sub(control, lambda m: chr(int(m[1], 16)) if m[1] else m[0], escaped)
    ids = [hashlib.sha256(text.encode()).hexdigest() for text in (escaped, verbatim)]
    id, pubkey, sig = (bytes.fromhex(event[name]) for name in ("id", "pubkey", "sig"))
    with contextlib.suppress(ValueError):  # of a key that is no point of the curve
        if event["id"] in ids and PublicKeyXOnly(pubkey).verify(sig, id):
            return
    raise Refusal("invalid: the id or the signature is wrong")


def matches(filter: Filter, event: Event) -> bool:
    fields = {"ids": event["id"], "authors": event["pubkey"], "kinds": event["kind"]}
    return (
        all(value in filter.get(name, [value]) for name, value in fields.items())
        and filter.get("since", 0) <= event["created_at"] <= filter.get("until", FOREVER)
        and all(set(values(event, n[1:])) & set(filter[n]) for n in filter if n.startswith("#"))
    )


def host_and_port(url: str) -> tuple[str | None, int | None]:
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        return parts.hostname, parts.port or {"ws": 80, "wss": 443}.get(parts.scheme)
    return None, None


# A row is a drop, or a tombstone when it has no `event`, or one of a drop that was not seen yet
# when it has no `created_at`. It is served before `held_until`, and forgotten at `expires_at`.
# A `retention` applies to a `created_at` up to `until` to which no earlier row does.
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS drops (
  recipient TEXT NOT NULL, id TEXT NOT NULL, author TEXT, kind INTEGER, created_at INTEGER,
  held_until INTEGER NOT NULL, expires_at INTEGER NOT NULL, event TEXT, bytes INTEGER,
  PRIMARY KEY (recipient, id));
CREATE INDEX IF NOT EXISTS boxes ON drops (recipient, created_at DESC, id, held_until, bytes);
CREATE INDEX IF NOT EXISTS unseen ON drops (recipient, id) WHERE created_at IS NULL;
CREATE INDEX IF NOT EXISTS messages ON drops (author, id) WHERE kind = 4;
CREATE INDEX IF NOT EXISTS leaving ON drops (held_until) WHERE event IS NOT NULL;
CREATE INDEX IF NOT EXISTS expiring ON drops (expires_at);
CREATE TABLE IF NOT EXISTS retentions (until INTEGER NOT NULL, retention INTEGER NOT NULL);
"""
LISTED = "IN (SELECT value FROM json_each(?))"


class Store:
    """Boxes and tombstones in SQLite. What `apply` answers would survive a crash."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings, self.db = settings, sqlite3.connect(settings.data)
        self.db.executescript(SCHEMA)
        now, retention = int(time.time()), settings.retention
        with self.db:
            self.db.execute("DELETE FROM retentions WHERE until + ? + retention <= ?", (FUZZ, now))
            known = "SELECT retention FROM retentions WHERE until = ?"
            if self.db.execute(known, (FOREVER,)).fetchone() != (retention,):
                end = "UPDATE retentions SET until = ? WHERE until = ?"
                self.db.execute(end, (now + SKEW, FOREVER))
                self.db.execute("INSERT INTO retentions VALUES (?, ?)", (FOREVER, retention))
        self.retentions = self.db.execute("SELECT * FROM retentions ORDER BY rowid").fetchall()
        self.longest_life = FUZZ + max(retention for _, retention in self.retentions)

    def advertised_retention(self, now: int) -> int:
        """The least that applies to events made now, dated up to 172800 seconds back."""
        begins = [0, *(until + 1 for until, _ in self.retentions)]
        applying = zip(begins, *zip(*self.retentions))
        return min(r for begin, until, r in applying if begin <= now and until >= now - FUZZ)

    def expiry(self, drop: Event) -> int:
        """min(expiration tag, created_at + 172800 + retention)"""
        retention = next(r for until, r in self.retentions if drop["created_at"] <= until)
        return min(drop["created_at"] + FUZZ + retention, *times(drop, "expiration"), FOREVER)

    def box(self, keys: set[str], after: tuple[int, str]) -> Iterator[Event]:
        """The drops to these keys that are held, newest first, those beyond `after`."""
        held = f"recipient {LISTED} AND held_until > ? AND created_at <= ?"
        query = f"SELECT event FROM drops WHERE {held} ORDER BY created_at DESC, id"
        wanted = (json.dumps(list(keys)), int(time.time()), after[0])
        for event in (json.loads(row[0]) for row in self.db.execute(query, wanted)):
            if (-event["created_at"], event["id"]) > (-after[0], after[1]):
                yield event

    def find(
        self, filters: list[Filter], most: int, after: tuple[int, str] = (FOREVER, "")
    ) -> tuple[list[Event], bool]:
        """At most so many drops that match, and whether these are all (NIP-67)."""
        found, is_whole = [], True
        left = [filter.get("limit", FOREVER) for filter in filters]
        for event in self.box({key for filter in filters for key in filter["#p"]}, after):
            matching = [n for n, filter in enumerate(filters) if matches(filter, event)]
            if any(left[n] > 0 for n in matching) and len(found) < most:
                found.append(event)
                left = [count - (n in matching) for n, count in enumerate(left)]
            elif matching:
                is_whole = False
                break
        return found, is_whole

    def apply(self, events: list[Event]) -> list[Answer]:
        """Holds drops and obeys acknowledgements and deletions, in one transaction."""
        now = int(time.time())
        is_full = shutil.disk_usage(self.settings.data).free < self.settings.reserved_bytes
        takers = {ACKNOWLEDGEMENT: self.acknowledge, DELETION: self.acknowledge}
        takers[VANISH] = self.vanish
        try:
            with self.db:
                return [takers.get(e["kind"], self.hold)(e, now, is_full) for e in events]
        except sqlite3.OperationalError:
            return [STORAGE_FULL] * len(events)

    def hold(self, drop: Event, now: int, is_full: bool) -> Answer:
        """One way for the held and the acknowledged, which get "the same answer"."""
        [recipient], text, expiry = values(drop, "p"), compact(drop), self.expiry(drop)
        known = "SELECT created_at FROM drops WHERE recipient = ? AND id = ?"
        row = self.db.execute(known, (recipient, drop["id"])).fetchone()
        if row is not None and row[0] is not None:
            return DUPLICATE
        used = "SELECT count(*), total(bytes) FROM drops WHERE recipient = ? AND held_until > ?"
        drops, size = self.db.execute(used, (recipient, now)).fetchone()
        size += len(text.encode())
        if drops >= self.settings.max_drops or size > self.settings.max_bytes:
            return BOX_FULL
        if is_full:
            return STORAGE_FULL
        columns = "recipient, id, created_at, expires_at, held_until, author, kind, event, bytes"
        if row is None:
            rest = (expiry, drop["pubkey"], drop["kind"], text, len(text.encode()))
        else:
            rest = (now, None, None, None, None)
        keep = f"REPLACE INTO drops ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self.db.execute(keep, (recipient, drop["id"], drop["created_at"], expiry, *rest))
        return HELD if row is None else AS_IF_HELD

    def acknowledge(self, event: Event, now: int, is_full: bool) -> Answer:
        """Kind 20221, and kind 5: "treat a kind 5 by the recipient as an acknowledgement"."""
        signer, ids = event["pubkey"], set(values(event, "e"))
        named, until = (signer, json.dumps(list(ids))), min(times(event, "grace"), default=now)
        self.release(f"recipient = ? AND id {LISTED}", named, until, now)
        if event["kind"] == DELETION:
            self.release(f"kind = 4 AND author = ? AND id {LISTED}", named, until, now)
        seen = f"SELECT id FROM drops WHERE recipient = ? AND id {LISTED} AND created_at NOT NULL"
        unseen = ids - {row[0] for row in self.db.execute(seen, named)}
        if not now - self.longest_life - SKEW <= event["created_at"] <= now + SKEW or not unseen:
            return DONE
        earlier = "SELECT id FROM drops WHERE recipient = ? AND created_at IS NULL"
        both = unseen | {row[0] for row in self.db.execute(earlier, (signer,))}
        if is_full or len(both) > self.settings.max_early_acknowledgements:
            return STORAGE_FULL if is_full else TOO_MANY_UNSEEN
        remember = "REPLACE INTO drops (recipient, id, held_until, expires_at) VALUES (?, ?, 0, ?)"
        # "until nothing that exists now could be accepted any more"
        expiry = now + SKEW + self.longest_life
        self.db.executemany(remember, [(signer, id, expiry) for id in unseen])
        return DONE

    def vanish(self, event: Event, now: int, is_full: bool) -> Answer:
        """Obeys once, and leaves a tombstone of the event itself: when it "is published again" it
        "MUST NOT delete what came after it".
        """
        columns = "(recipient, id, created_at, held_until, expires_at)"
        once = f"INSERT OR IGNORE INTO drops {columns} VALUES (?, ?, ?, 0, ?)"
        signer, until = event["pubkey"], event["created_at"]
        tombstone = (signer, event["id"], until, until + self.longest_life)
        if self.db.execute(once, tombstone).rowcount == 1:
            own = "created_at <= ? AND (recipient = ? OR kind = 4 AND author = ?)"
            self.release(own, (until, signer, signer), now, now)
        return DONE

    def release(self, which: str, named: tuple[Any, ...], until: int, now: int) -> None:
        """Has drops held no longer than `until`, and leaves tombstones of those past it."""
        earlier = f"UPDATE drops SET held_until = min(held_until, ?) WHERE {which}"
        self.db.execute(earlier, (until, *named))
        emptied = "event = NULL, author = NULL, kind = NULL, bytes = NULL"
        past = "event IS NOT NULL AND held_until <= ?"
        self.db.execute(f"UPDATE drops SET {emptied} WHERE {past}", (now,))

    def sweep(self) -> None:
        now = int(time.time())
        with self.db:
            self.release("FALSE", (), now, now)
            self.db.execute("DELETE FROM drops WHERE expires_at <= ?", (now,))


class Relay:
    """Checks what is published, has it written, and delivers it."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings, self.store = settings, Store(settings)
        self.names = {host_and_port(url) for url in settings.url} - {(None, None)}
        self.connections: set[Connection] = set()
        self.waiting: list[tuple[Event, asyncio.Future[Answer]]] = []
        ids = max(settings.max_acknowledgement_ids, settings.max_auth_keys)
        self.max_message_length = max(2 * settings.max_event_bytes, 128 * ids)

    async def publish(self, value: Any, kinds: tuple[int, ...] | None = None) -> Answer:
        """The one way in, over WebSocket and HTTP."""
        try:
            event = parse_event(value)
            if kinds is not None and event["kind"] not in kinds:
                raise Refusal("invalid: not an acknowledgement")
            self.check(event, int(time.time()))
            verify(event)
        except Refusal as refusal:
            return refusal.answer
        if event["kind"] == EPHEMERAL_WRAP:
            self.deliver(event)
            return PASSED_ON
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_soon(self.commit)
        self.waiting.append((event, loop.create_future()))
        return await self.waiting[-1][1]

    def commit(self) -> None:
        waiting, self.waiting = self.waiting, []
        answers = self.store.apply([event for event, _ in waiting])
        for (event, written), answer in zip(waiting, answers):
            if not written.done():  # as when the connection is gone
                written.set_result(answer)
            if answer is HELD:
                self.deliver(event)

    def deliver(self, event: Event) -> None:
        for connection in tuple(self.connections):
            connection.offer(event)

    def check(self, event: Event, now: int) -> None:
        """Refuses what can be seen to be wrong without its signature."""
        kind, named, recipients = event["kind"], values(event, "e"), values(event, "p")
        if kind in (ACKNOWLEDGEMENT, DELETION):
            times(event, "grace")
            if not 0 < len(named) <= self.settings.max_acknowledgement_ids:
                raise Refusal("invalid: no e tag, or too many")
            if not all(map(is_hex, named)):
                raise Refusal("invalid: an e tag is malformed")
        elif kind == VANISH:
            relays = values(event, "relay")
            if "ALL_RELAYS" not in relays and self.names.isdisjoint(map(host_and_port, relays)):
                raise Refusal("invalid: meant for other relays")
            if event["created_at"] > now + SKEW:
                raise Refusal("invalid: created_at is too far ahead")
        elif kind not in (MESSAGE, WRAP, EPHEMERAL_WRAP):
            raise Refusal("blocked: this relay holds dead drops alone")
        elif len(compact(event).encode()) > self.settings.max_event_bytes:
            raise Refusal("invalid: the event is too large", 413)
        elif len(recipients) != 1 or not is_hex(recipients[0]):
            raise Refusal("invalid: a drop has exactly one p tag, with a key in lowercase hex")
        elif not now < self.store.expiry(event) or event["created_at"] > now + SKEW:
            raise Refusal("invalid: the drop has expired, or its created_at is too far ahead")
        elif int(event["id"], 16) >> (256 - self.settings.min_pow_difficulty):
            raise Refusal(f"pow: {self.settings.min_pow_difficulty} bits of work are needed")

    def check_login(self, value: Any, kind: int, seconds: int, tags: dict[str, Any]) -> str:
        """The key that signed an AUTH (NIP-42) or an HTTP authorization (NIP-98)."""
        event = parse_event(value)
        if event["kind"] != kind or abs(event["created_at"] - time.time()) > seconds:
            raise Refusal("invalid: not the kind or the time of an authentication")
        for name, is_right in tags.items():
            if not any(map(is_right, values(event, name)[:1])):
                raise Refusal(f"invalid: {name} of the authentication is wrong")
        verify(event)
        return event["pubkey"]

    def document(self) -> dict[str, Any]:
        """NIP-11"""
        settings, now = self.settings, int(time.time())
        former = [{"until": until, "retention": r} for until, r in self.store.retentions[:-1]]
        return {
            "name": "dead drops",
            "supported_nips": [1, 9, 11, 13, 40, 42, 45, 62, 67, 98],
            "limitation": {
                "max_message_length": self.max_message_length,
                "max_subscriptions": MAX_SUBSCRIPTIONS,
                "max_filters": MAX_FILTERS,
                "max_subid_length": MAX_SUBSCRIPTION_ID,
                "max_limit": settings.max_limit,
                "min_pow_difficulty": settings.min_pow_difficulty,
                "created_at_upper_limit": SKEW,
                "restricted_writes": True,
            },
            "dead_drop": {
                "kinds": [MESSAGE, WRAP],
                "retention": self.store.advertised_retention(now),
                "former_retentions": [
                    f for f in former if f["until"] + FUZZ + f["retention"] > now
                ],
                **{name: getattr(settings, name) for name in ADVERTISED},
                "http": True,
            },
        }


class Connection:
    """A WebSocket with its keys, its subscriptions, and the requests that wait for AUTH."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.challenge = relay, secrets.token_hex(16)
        limit = relay.max_message_length
        self.socket = web.WebSocketResponse(max_msg_size=limit, compress=False)
        self.is_challenged = False
        self.keys: set[str] = set()
        self.subscriptions: dict[str, list[Filter]] = {}
        self.held: dict[tuple[str, str], list[Filter]] = {}
        self.outbox: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        await self.socket.prepare(request)
        self.relay.connections.add(self)
        tasks = {asyncio.create_task(self.read()), asyncio.create_task(self.write())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.relay.connections.discard(self)
            for task in tasks:
                task.cancel()
        return self.socket

    async def read(self) -> None:
        async for message in self.socket:
            await self.take(message.data if message.type is WSMsgType.TEXT else "")
            await self.outbox.join()  # who does not read is not heard

    async def write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self.socket.send_str(await self.outbox.get())
                self.outbox.task_done()

    def send(self, *message: Any) -> None:
        self.outbox.put_nowait(compact(message))

    async def take(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        match message:
            case ["EVENT", event]:
                answer = await self.relay.publish(event)
                self.send("OK", id_of(event), answer.accepted, answer.reason)
            case ["AUTH", event]:
                answer = self.authenticate(event)
                self.send("OK", id_of(event), answer.accepted, answer.reason)
                held, self.held = self.held, {}
                for (verb, id), filters in held.items():
                    self.answer(verb, id, filters)
                    await self.outbox.join()
            case ["REQ" | "COUNT" as verb, str(id), *filters]:
                self.request(verb, id, filters)
            case ["CLOSE", str(id)]:
                self.subscriptions.pop(id, None)
                self.held.pop(("REQ", id), None)
            case _:
                self.send("NOTICE", "invalid: not a message of NIP-01, 42 or 45")

    def authenticate(self, value: Any) -> Answer:
        tags = {"challenge": self.challenge.__eq__}
        tags["relay"] = lambda url: host_and_port(url) in self.relay.names
        try:
            key = self.relay.check_login(value, AUTHENTICATION, AUTH_SECONDS, tags)
            if len(self.keys | {key}) > self.relay.settings.max_auth_keys:
                raise Refusal("restricted: too many keys on one connection")
        except Refusal as refusal:
            return refusal.answer
        self.keys.add(key)
        return DONE

    def request(self, verb: str, id: str, filters: list[Any]) -> None:
        """Answers a REQ or COUNT, or holds it "until AUTH is answered, or half a second"."""
        if verb == "REQ":
            self.subscriptions.pop(id, None)
        if not self.keys and not self.is_challenged:
            self.is_challenged = True
            self.send("AUTH", self.challenge)
        try:
            filters = [parse_filter(filter) for filter in filters]
            if not (0 < len(id) <= MAX_SUBSCRIPTION_ID and 0 < len(filters) <= MAX_FILTERS):
                raise Refusal("invalid: an id or filters too long, or none")
        except Refusal as refusal:
            return self.send("CLOSED", id, refusal.answer.reason)
        if len(self.subscriptions) + len(self.held) >= MAX_SUBSCRIPTIONS:
            return self.send("CLOSED", id, "rate-limited: too many subscriptions")
        if self.keys:
            return self.answer(verb, id, filters)
        self.held[verb, id] = filters
        asyncio.get_running_loop().call_later(HOLD_SECONDS, self.give_up, verb, id, filters)

    def give_up(self, verb: str, id: str, filters: list[Filter]) -> None:
        if self.held.get((verb, id)) is filters:
            del self.held[verb, id]
            self.answer(verb, id, filters)

    def answer(self, verb: str, id: str, filters: list[Filter]) -> None:
        """To a filter without `#p` it names the keys authenticated now, to others those of them."""
        own = [{**f, "#p": self.keys.intersection(f.get("#p", self.keys))} for f in filters]
        own = [filter for filter in own if filter["#p"]]
        if not own:
            self.send("AUTH", self.challenge)
            restricted = "restricted: drops are for their recipients alone"
            reason = restricted if self.keys else "auth-required: whose drops?"
            return self.send("CLOSED", id, reason)
        if verb == "COUNT":
            return self.send("COUNT", id, {"count": len(self.relay.store.find(own, FOREVER)[0])})
        self.subscriptions[id] = own
        drops, is_whole = self.relay.store.find(own, self.relay.settings.max_limit)
        for drop in drops:
            self.send("EVENT", id, drop)
        self.send("EOSE", id, ["finish" if is_whole else "more"])

    def offer(self, event: Event) -> None:
        """Gets what was just published, and sends it on the subscriptions that it matches."""
        for id, filters in self.subscriptions.items():
            if any(matches(filter, event) for filter in filters):
                self.send("EVENT", id, event)
        if self.outbox.qsize() > MAX_UNREAD:
            self.socket._req.transport.abort()


def id_of(value: Any) -> str:
    id = value.get("id") if isinstance(value, dict) else None
    return id if isinstance(id, str) else ""


class Door:
    """Dead drops over HTTP (NIP-DH)."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.settings, self.find = relay, relay.settings, relay.store.find

    async def root(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await Connection(self.relay).serve(request)
        kind = "application/nostr+json"
        return web.json_response(self.relay.document(), content_type=kind, dumps=compact)

    async def post(self, request: web.Request, kinds: tuple[int, ...] | None) -> web.Response:
        value: Any = None
        try:
            value = json.loads(await request.read())
            answer = await self.relay.publish(value, kinds)
        except web.HTTPRequestEntityTooLarge:
            answer = Refusal("invalid: the event is too large", 413).answer
        except (ValueError, RecursionError):
            answer = Refusal("invalid: not JSON").answer
        told = {"id": id_of(value), "accepted": answer.accepted, "reason": answer.reason}
        return web.json_response(told, status=answer.status, dumps=compact)

    def recipient(self, request: web.Request) -> str:
        """Whose box is asked for: by its owner, or the answer is 401 or 403."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        paths = [
            url.partition("://")[2].rstrip("/") + request.raw_path for url in self.settings.url
        ]
        tags = {"u": lambda url: url.partition("://")[2] in paths, "method": request.method.__eq__}
        try:
            value = json.loads(base64.b64decode(token if scheme == "Nostr" else "", validate=True))
            key = self.relay.check_login(value, HTTP_AUTHENTICATION, HTTP_AUTH_SECONDS, tags)
        except (Refusal, ValueError, RecursionError) as error:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Nostr"}) from error
        named = request.match_info["key"]
        human, words = bech32_decode(named)
        if human == "npub":
            named = bytes(convertbits(words, 5, 8, False) or []).hex()
        if named != key:
            raise web.HTTPForbidden
        return key

    async def pickup(self, request: web.Request) -> web.Response:
        filters = [{"#p": {self.recipient(request)}}]
        query, most = request.query, self.settings.max_limit
        try:
            limit, wait = int(query.get("limit", most)), float(query.get("wait", 0))
            created_at, _, id = query.get("cursor", f"{FOREVER}.").partition(".")
            after = (int(created_at), id)
        except ValueError as error:
            raise web.HTTPBadRequest from error
        end = time.monotonic() + min(wait, MAX_WAIT_SECONDS)
        drops, is_whole = self.find(filters, max(0, min(limit, most)), after)
        while not drops and is_whole and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
            drops, is_whole = self.find(filters, max(0, min(limit, most)), after)
        headers = {"Dead-Drop-Finished": "true" if is_whole else "false"}
        if drops:
            headers["Dead-Drop-Cursor"] = f"{drops[-1]['created_at']}.{drops[-1]['id']}"
        lines = "".join(compact(drop) + "\n" for drop in drops)
        return web.Response(text=lines, headers=headers, content_type="application/x-ndjson")

    async def count(self, request: web.Request) -> web.Response:
        drops, _ = self.find([{"#p": {self.recipient(request)}}], FOREVER)
        return web.json_response({"count": len(drops)})


async def allow_pages(_: web.Request, response: web.StreamResponse) -> None:
    """NIP-11: CORS"""
    for what, allowed in {"Origin": "*", "Headers": "*, Authorization", "Methods": "*"}.items():
        response.headers[f"Access-Control-Allow-{what}"] = allowed
    response.headers["Access-Control-Expose-Headers"] = "Dead-Drop-Cursor, Dead-Drop-Finished"


def application(relay: Relay) -> web.Application:
    async def sweeping(_: web.Application) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                relay.store.sweep()
                await asyncio.sleep(SWEEP_SECONDS)

        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    async def preflight(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app, door = web.Application(client_max_size=relay.max_message_length), Door(relay)
    app.cleanup_ctx.append(sweeping)
    app.on_response_prepare.append(allow_pages)
    app.router.add_get("/", door.root, allow_head=False)
    app.router.add_post("/drop", partial(door.post, kinds=None))
    app.router.add_post("/ack", partial(door.post, kinds=(ACKNOWLEDGEMENT, DELETION)))
    app.router.add_get("/pickup/{key}", door.pickup, allow_head=False)
    app.router.add_get("/pickup/{key}/count", door.count, allow_head=False)
    app.router.add_options("/{path:.*}", preflight)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="A relay for dead drops.")
    parser.add_argument("--listen", default="127.0.0.1:7777", help="host:port")
    parser.add_argument("--data", default="drops.sqlite", help="the file of the database")
    parser.add_argument("--url", action="append", help="a URL it is known by; may be repeated")
    parser.add_argument("--retention", type=int, default=30 * 86400, help="seconds")
    for name, value in {**ADVERTISED, **OTHERS}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    settings = parser.parse_args()
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host, int(port)))
    address = "ws://{}:{}".format(*listener.getsockname())
    settings.url = settings.url or [address]
    app = application(Relay(settings))
    print(f"listening on {address}", flush=True)
    web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()

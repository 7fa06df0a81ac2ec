"""A relay for dead drops, from the text of NIP-DD (../DD.md) and NIP-DH (../DH.md) alone.

It has one thread and writes one event at a time: what is answered is committed.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web
from bech32 import bech32_encode, convertbits
from coincurve import PublicKeyXOnly
from yarl import URL

MESSAGE, DELETION, VANISH, WRAP, ACKNOWLEDGEMENT = 4, 5, 62, 1059, 20221
EPHEMERAL_WRAP, AUTH, HTTP_AUTH = 21059, 22242, 27235
FUZZ = 172800  # how far senders move `created_at` back (NIP-59)
SKEW = 900  # how far it may be ahead
AUTH_SECONDS = {AUTH: 600, HTTP_AUTH: 60}  # how far it may be off (NIP-42, NIP-98)
HOLD_SECONDS = 0.5  # how long a request waits for AUTH
SWEEP_SECONDS, POLL_SECONDS, MAX_WAIT_SECONDS = 1, 0.2, 60
MAX_UNREAD_BYTES = 16 << 20  # for a slow reader; one with more is cut off, and asks again
LIMITS = {"max_subscriptions": 20, "max_filters": 20, "max_subid_length": 64}
FOREVER = 1 << 62

ADVERTISED = {"max_event_bytes": 65536, "max_drops": 5000, "max_bytes": 64 << 20}
ADVERTISED |= {"max_acknowledgement_ids": 1000, "max_early_acknowledgements": 10000}
ADVERTISED |= {"max_auth_keys": 1000}
SETTINGS = {"retention": 30 * 86400, "max_limit": 500, "min_pow_difficulty": 0, **ADVERTISED}
SETTINGS |= {"reserved_bytes": 64 << 20}  # of the disk, so that acknowledgements find room

Event = Filter = dict[str, Any]
compact = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
is_hex = re.compile("[0-9a-f]{64}").fullmatch


class Answer(NamedTuple):
    accepted: bool  # as in OK
    reason: str  # as in OK
    status: int  # over HTTP
    is_live: bool = False  # whether open subscriptions get the event


class Refusal(Exception):
    """A reason and a status."""


def verified(value: Any) -> Event:
    """The event, unless form, id or signature are not those of NIP-01. "A relay MUST accept ids
    for which control characters were hashed verbatim, as in NIP-01, or as \\u00XX, as in JSON."
    """
    names = ("id", "pubkey", "created_at", "kind", "tags", "content", "sig")
    with contextlib.suppress(LookupError, TypeError, ValueError):
        event = {name: value[name] for name in names}
        id, pubkey, created_at, kind, tags, content, sig = event.values()
        escaped, control = compact([0, *list(event.values())[1:6]]), r"\\(?:u00([01][0-9a-f])|.)"
        verbatim = re.sub(control, lambda m: chr(int(m[1], 16)) if m[1] else m[0], escaped)
        if (
            (type(created_at), type(kind), type(tags)) == (int, int, list)
            and all(type(tag) is list and tag for tag in tags)
            and all(
                type(text) is str for text in (content, *(text for tag in tags for text in tag))
            )
            and id in [hashlib.sha256(text.encode()).hexdigest() for text in (escaped, verbatim)]
            and re.fullmatch("[0-9a-f]{192}", pubkey + sig)
            and PublicKeyXOnly(bytes.fromhex(pubkey)).verify(bytes.fromhex(sig), bytes.fromhex(id))
        ):
            return event
    raise Refusal("invalid: not an event, or not signed by its key", 400)


def values(event: Event, name: str) -> list[str]:
    """The values of the tags with this name, "" for a tag without one."""
    return [(tag + [""])[1] for tag in event["tags"] if tag[0] == name]


def times(event: Event, name: str) -> list[int]:
    """Values that MUST be decimal digits. 18 of these reach beyond any clock."""
    if not all(re.fullmatch("[0-9]+", value) for value in values(event, name)):
        raise Refusal(f"invalid: {name} is not decimal digits", 400)
    return [int(value.lstrip("0")[:18] or 0) for value in values(event, name)]


def is_filter(value: Any) -> bool:
    types = dict(since=int, until=int, limit=int, ids=list, authors=list, kinds=list)
    types |= {f"#{letter}": list for letter in map(chr, (*range(65, 91), *range(97, 123)))}
    return isinstance(value, dict) and all(type(v) is types.get(k) for k, v in value.items())


def matches(filter: Filter, event: Event) -> bool:
    """As NIP-01 says."""
    fields = {"ids": [event["id"]], "authors": [event["pubkey"]], "kinds": [event["kind"]]}
    return filter.get("since", 0) <= event["created_at"] <= filter.get("until", FOREVER) and all(
        any(value in filter[name] for value in fields.get(name) or values(event, name[1:]))
        for name in filter.keys() - {"since", "until", "limit"}
    )


def address(url: str) -> tuple[str | None, int | None]:
    """The host and the port, also one that the scheme implies."""
    with contextlib.suppress(ValueError):
        return URL(url).host, URL(url).port
    return None, None


# A row is a drop, or a tombstone when it has no `event`, or one of a drop that was not seen yet
# when it has no `created_at`. It is served before `held_until`, and forgotten at `expires_at`.
# A `retention` applies to a `created_at` up to `until` to which no earlier row does.
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS drops (
  recipient TEXT NOT NULL, id TEXT NOT NULL, created_at INTEGER, held_until INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, bytes INTEGER, event TEXT, PRIMARY KEY (recipient, id));
CREATE INDEX IF NOT EXISTS boxes ON drops (recipient, created_at DESC, id, held_until, bytes);
CREATE INDEX IF NOT EXISTS unseen ON drops (recipient, id) WHERE created_at IS NULL;
CREATE INDEX IF NOT EXISTS messages ON drops (event ->> 'pubkey') WHERE event ->> 'kind' = 4;
CREATE INDEX IF NOT EXISTS leaving ON drops (held_until) WHERE event IS NOT NULL;
CREATE INDEX IF NOT EXISTS expiring ON drops (expires_at);
CREATE TABLE IF NOT EXISTS retentions (until INTEGER NOT NULL, retention INTEGER NOT NULL);
"""
LISTED, BY_AUTHOR = (
    "IN (SELECT value FROM json_each(?))",
    "event ->> 'kind' = 4 AND event ->> 'pubkey' = ?",
)


class Store:
    """Boxes and tombstones in SQLite."""

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
        applying = zip([0, *(until + 1 for until, _ in self.retentions)], *zip(*self.retentions))
        return min(r for since, until, r in applying if since <= now and until >= now - FUZZ)

    def expiry(self, drop: Event) -> int:
        """min(expiration tag, created_at + 172800 + retention)"""
        retention = next(r for until, r in self.retentions if drop["created_at"] <= until)
        return min(drop["created_at"] + FUZZ + retention, *times(drop, "expiration"), FOREVER)

    def box(self, keys: set[str], after: tuple[int, str]) -> Iterator[Event]:
        """The drops that these keys can pick up, newest first, those beyond `after`."""
        query = f"""SELECT event FROM drops WHERE recipient {LISTED} AND held_until > ?
                    AND created_at <= ? ORDER BY created_at DESC, id"""
        named = (json.dumps(list(keys)), int(time.time()), after[0])
        for event in (json.loads(text) for (text,) in self.db.execute(query, named)):
            if (-event["created_at"], event["id"]) > (-after[0], after[1]):
                yield event

    def find(
        self, filters: list[Filter], most: int, after: tuple[int, str] = (FOREVER, "")
    ) -> tuple[list[Event], bool]:
        """At most so many drops that match, and whether these are all (NIP-67)."""
        found, left = [], [filter.get("limit", FOREVER) for filter in filters]
        for event in self.box({key for filter in filters for key in filter["#p"]}, after):
            matching = [n for n, filter in enumerate(filters) if matches(filter, event)]
            if matching and (len(found) == most or all(left[n] <= 0 for n in matching)):
                return found, False
            found += [event] if matching else []
            left = [count - (n in matching) for n, count in enumerate(left)]
        return found, True

    def hold(self, drop: Event, now: int) -> Answer:
        """One way for the held and the acknowledged, which get "the same answer"."""
        (recipient,), expiry, text = values(drop, "p"), self.expiry(drop), compact(drop)
        known = "SELECT created_at FROM drops WHERE recipient = ? AND id = ?"
        row = self.db.execute(known, (recipient, drop["id"])).fetchone()
        if row is not None and row[0] is not None:
            return Answer(True, "duplicate: already have this event", 200)
        used = "SELECT count(*), total(bytes) FROM drops WHERE recipient = ? AND held_until > ?"
        drops, bytes = self.db.execute(used, (recipient, now)).fetchone()
        size = len(text.encode())
        if drops >= self.settings.max_drops or bytes + size > self.settings.max_bytes:
            raise Refusal("rate-limited: the box is full", 507)
        self.require_room()
        until, kept = (expiry, text) if row is None else (now, None)
        columns = (recipient, drop["id"], drop["created_at"], until, expiry, size, kept)
        self.db.execute("REPLACE INTO drops VALUES (?, ?, ?, ?, ?, ?, ?)", columns)
        return Answer(True, "", 201, is_live=row is None)

    def require_room(self) -> None:
        disk = os.statvfs(self.settings.data)
        if disk.f_bavail * disk.f_frsize < self.settings.reserved_bytes:
            raise Refusal("error: the storage is full", 507)

    def acknowledge(self, event: Event, now: int) -> Answer:
        """Kind 20221, and kind 5: "treat a kind 5 by the recipient as an acknowledgement"."""
        signer, ids = event["pubkey"], set(values(event, "e"))
        named, until = (signer, json.dumps(list(ids))), min(times(event, "grace"), default=now)
        self.release(f"recipient = ? AND id {LISTED}", named, until, now)
        if event["kind"] == DELETION:
            self.release(f"{BY_AUTHOR} AND id {LISTED}", named, until, now)
        seen = f"SELECT id FROM drops WHERE recipient = ? AND id {LISTED} AND created_at NOT NULL"
        unseen = ids - {id for (id,) in self.db.execute(seen, named)}
        if unseen and now - self.longest_life - SKEW <= event["created_at"] <= now + SKEW:
            return self.remember(signer, unseen, now)
        return Answer(True, "", 200)

    def remember(self, signer: str, ids: set[str], now: int) -> Answer:
        """Keeps tombstones "until nothing that exists now could be accepted any more"."""
        earlier = "SELECT id FROM drops WHERE recipient = ? AND created_at IS NULL"
        unseen = ids.union(id for (id,) in self.db.execute(earlier, (signer,)))
        if len(unseen) > self.settings.max_early_acknowledgements:
            return Answer(False, "rate-limited: too many drops that have not come", 429)
        expiry = now + SKEW + self.longest_life
        tombstone = "REPLACE INTO drops VALUES (?, ?, NULL, 0, ?, NULL, NULL)"
        self.db.executemany(tombstone, [(signer, id, expiry) for id in ids])
        return Answer(True, "", 200)

    def vanish(self, event: Event, now: int) -> Answer:
        """Leaves a tombstone of the event, too: when it "is published again" it "MUST NOT delete
        what came after it".
        """
        signer, until = event["pubkey"], event["created_at"]
        once = "INSERT OR IGNORE INTO drops VALUES (?, ?, ?, 0, ?, NULL, NULL)"
        tombstone = (signer, event["id"], until, until + self.longest_life)
        if self.db.execute(once, tombstone).rowcount == 1:
            for whose in ("recipient = ?", BY_AUTHOR):
                self.release(f"{whose} AND created_at <= ?", (signer, until), now, now)
        return Answer(True, "", 200)

    def release(self, which: str, named: tuple[Any, ...], until: int, now: int) -> None:
        """Has drops held no longer than `until`, and leaves tombstones of those past it."""
        update = "UPDATE drops SET held_until = min(held_until, ?) WHERE"
        self.db.execute(f"{update} {which}", (until, *named))
        past = "event IS NOT NULL AND held_until <= ?"
        self.db.execute(f"UPDATE drops SET event = NULL WHERE {past}", (now,))

    def sweep(self) -> None:
        now = int(time.time())
        with self.db:
            self.release("FALSE", (), now, now)
            self.db.execute("DELETE FROM drops WHERE expires_at <= ?", (now,))


class Relay:
    """Checks what is published, has it written, and delivers it."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings, self.store = settings, Store(settings)
        self.addresses = {address(url) for url in settings.url}
        self.connections: set[Connection] = set()
        ids = max(settings.max_acknowledgement_ids, settings.max_auth_keys)
        self.max_message_length = max(2 * settings.max_event_bytes, 128 * ids)

    def publish(self, value: Any, kinds: range | set[int] = range(1 << 16)) -> Answer:
        """The one way in, over WebSocket and HTTP."""
        now = int(time.time())
        try:
            event = verified(value)
            if event["kind"] not in kinds:
                raise Refusal("invalid: of a kind that has no place here", 400)
            take = self.checked(event, now)
            with self.store.db:
                answer = take(event, now)
        except Refusal as refusal:
            return Answer(False, *refusal.args)
        except sqlite3.OperationalError:
            return Answer(False, "error: the storage failed", 503)
        for connection in self.connections if answer.is_live else ():
            connection.offer(event)
        return answer

    def checked(self, event: Event, now: int) -> Callable[[Event, int], Answer]:
        """What takes such an event, when nothing speaks against it."""
        kind, ahead = event["kind"], event["created_at"] > now + SKEW
        if kind in (ACKNOWLEDGEMENT, DELETION):
            ids, _ = values(event, "e"), times(event, "grace")
            if not 0 < len(ids) <= self.settings.max_acknowledgement_ids or not all(
                map(is_hex, ids)
            ):
                raise Refusal("invalid: no e tag, a malformed one, or too many", 400)
            return self.store.acknowledge
        if kind == VANISH:
            relays = values(event, "relay")
            if (
                ahead
                or "ALL_RELAYS" not in relays
                and self.addresses.isdisjoint(map(address, relays))
            ):
                raise Refusal("invalid: for other relays, or dated too far ahead", 400)
            return self.store.vanish
        if kind not in (MESSAGE, WRAP, EPHEMERAL_WRAP):
            raise Refusal("blocked: this relay holds dead drops alone", 403)
        if len(compact(event).encode()) > self.settings.max_event_bytes:
            raise Refusal("invalid: the event is too large", 413)
        if len(values(event, "p")) != 1 or not is_hex(*values(event, "p")):
            raise Refusal("invalid: not exactly one p tag, with a key in lowercase hex", 400)
        if ahead or now >= self.store.expiry(event):
            raise Refusal("invalid: expired, or dated too far ahead", 400)
        if int(event["id"], 16) >> (256 - self.settings.min_pow_difficulty):
            raise Refusal(f"pow: {self.settings.min_pow_difficulty} bits of work are needed", 422)
        return (
            self.store.hold
            if kind != EPHEMERAL_WRAP
            else lambda *_: Answer(True, "", 202, is_live=True)
        )

    def login(self, value: Any, kind: int, tags: dict[str, Callable[[str], bool]]) -> str:
        """The key that signed an AUTH (NIP-42) or an HTTP authorization (NIP-98)."""
        event = verified(value)
        if event["kind"] != kind or abs(event["created_at"] - time.time()) > AUTH_SECONDS[kind]:
            raise Refusal("invalid: the kind or the time is wrong", 401)
        if not all(any(map(is_right, values(event, name)[:1])) for name, is_right in tags.items()):
            raise Refusal(f"invalid: one of {', '.join(tags)} is wrong", 401)
        return event["pubkey"]

    def document(self) -> dict[str, Any]:
        """NIP-11"""
        now, settings = int(time.time()), vars(self.settings)
        limits = {name: settings[name] for name in ("max_limit", "min_pow_difficulty")}
        limits |= {"created_at_upper_limit": SKEW, "restricted_writes": True, **LIMITS}
        former = [{"until": u, "retention": r} for u, r in self.store.retentions if u < FOREVER]
        return {
            "name": "dead drops",
            "supported_nips": [1, 9, 11, 13, 40, 42, 45, 62, 67, 98],
            "limitation": {"max_message_length": self.max_message_length, **limits},
            "dead_drop": {name: settings[name] for name in ADVERTISED}
            | {"kinds": [MESSAGE, WRAP], "retention": self.store.advertised_retention(now)}
            | {"former_retentions": [f for f in former if f["until"] + FUZZ + f["retention"] > now]}
            | {"http": True},
        }


class Connection:
    """A WebSocket with its keys, its subscriptions, and the requests that wait for AUTH."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.challenge, self.is_challenged = relay, os.urandom(16).hex(), False
        self.socket = web.WebSocketResponse(max_msg_size=relay.max_message_length, compress=False)
        self.keys: set[str] = set()
        self.subscriptions: dict[str, list[Filter]] = {}
        self.held: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.is_answered = asyncio.Event()  # AUTH

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        await self.socket.prepare(request)
        self.transport = request.transport
        self.relay.connections.add(self)
        try:
            async for message in self.socket:
                await self.take(message.data if message.type is WSMsgType.TEXT else "")
        finally:
            self.relay.connections.discard(self)
        return self.socket

    async def send(self, *message: Any) -> None:
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(compact(message))

    async def take(self, text: str) -> None:
        match parsed(text):
            case ["EVENT", event]:
                answer = self.relay.publish(event)
                await self.send("OK", id_of(event), answer.accepted, answer.reason)
            case ["AUTH", event]:
                answer = self.authenticate(event)
                await self.send("OK", id_of(event), answer.accepted, answer.reason)
                self.is_answered.set()
            case ["REQ" | "COUNT" as verb, str(id), *filters]:
                self.close(verb, id)
                await self.request(verb, id, filters)
            case ["CLOSE", str(id)]:
                self.close("REQ", id)
            case _:
                await self.send("NOTICE", "invalid: not a message of NIP-01, 42 or 45")

    def authenticate(self, value: Any) -> Answer:
        tags = {"challenge": self.challenge.__eq__}
        tags["relay"] = lambda url: address(url) in self.relay.addresses
        try:
            keys = self.keys | {self.relay.login(value, AUTH, tags)}
        except Refusal as refusal:
            return Answer(False, *refusal.args)
        if len(keys) > self.relay.settings.max_auth_keys:
            return Answer(False, "restricted: too many keys on one connection", 403)
        self.keys = keys
        return Answer(True, "", 200)

    def close(self, verb: str, id: str) -> None:
        if verb == "REQ":
            self.subscriptions.pop(id, None)
        if (verb, id) in self.held:
            self.held.pop((verb, id)).cancel()

    async def request(self, verb: str, id: str, filters: list[Any]) -> None:
        """Answers, or holds what comes without a key "until AUTH is answered, or half a second"."""
        if not self.keys and not self.is_challenged:
            self.is_challenged = True
            await self.send("AUTH", self.challenge)
        if not 0 < len(id) <= LIMITS["max_subid_length"] or not all(map(is_filter, filters)):
            await self.send("CLOSED", id, "invalid: the id or a filter is malformed")
        elif not 0 < len(filters) <= LIMITS["max_filters"]:
            await self.send("CLOSED", id, "invalid: no filter, or too many")
        elif len(self.subscriptions) + len(self.held) >= LIMITS["max_subscriptions"]:
            await self.send("CLOSED", id, "rate-limited: too many subscriptions")
        elif self.keys:
            await self.answer(verb, id, filters)
        else:
            self.is_answered.clear()
            self.held[verb, id] = asyncio.create_task(self.hold(verb, id, filters))

    async def hold(self, verb: str, id: str, filters: list[Filter]) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.is_answered.wait(), HOLD_SECONDS)
        del self.held[verb, id]
        await self.answer(verb, id, filters)

    async def answer(self, verb: str, id: str, filters: list[Filter]) -> None:
        """A filter without `#p` names the keys authenticated now, others lose what is not."""
        own = [{**f, "#p": [k for k in self.keys if k in f.get("#p", [k])]} for f in filters]
        own = [filter for filter in own if filter["#p"]]
        if not own:
            await self.send("AUTH", self.challenge)
            other = "restricted: drops are shown to their recipients alone"
            await self.send("CLOSED", id, other if self.keys else "auth-required: who asks?")
        elif verb == "COUNT":
            drops, _ = self.relay.store.find(own, FOREVER)
            await self.send("COUNT", id, {"count": len(drops)})
        else:
            self.subscriptions[id] = own  # before the first pause: nothing is missed
            drops, is_whole = self.relay.store.find(own, self.relay.settings.max_limit)
            for drop in drops:
                await self.send("EVENT", id, drop)
            await self.send("EOSE", id, ["finish" if is_whole else "more"])

    def offer(self, event: Event) -> None:
        """Sends what was just published on the subscriptions that it matches."""
        for id, filters in self.subscriptions.items():
            if any(matches(filter, event) for filter in filters):
                asyncio.ensure_future(self.send("EVENT", id, event))
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()


def parsed(text: str | bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)


def id_of(event: Any) -> Any:
    return event.get("id", "") if isinstance(event, dict) else ""


class Door:
    """Dead drops over HTTP (NIP-DH)."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.find = relay, relay.store.find
        self.roots = [url.partition("://")[2].rstrip("/") for url in relay.settings.url]

    async def root(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            return await Connection(self.relay).serve(request)
        return web.json_response(self.relay.document(), content_type="application/nostr+json")

    async def post(self, request: web.Request, **kinds: set[int]) -> web.Response:
        event = parsed(await request.read())
        accepted, reason, status, _ = self.relay.publish(event, **kinds)
        told = {"id": id_of(event), "accepted": accepted, "reason": reason}
        return web.json_response(told, status=status)

    def recipient(self, request: web.Request) -> str:
        """Whose box is read, by its owner: "without it the status is 401, and with another key than
        the recipient's 403".
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        urls = [root + request.raw_path for root in self.roots]
        tags = {"u": lambda u: u.partition("://")[2] in urls, "method": request.method.__eq__}
        try:
            value = parsed(base64.b64decode(token if scheme == "Nostr" else ""))
            key = self.relay.login(value, HTTP_AUTH, tags)
        except (Refusal, ValueError) as error:
            raise web.HTTPUnauthorized from error
        npub = bech32_encode("npub", convertbits(bytes.fromhex(key), 8, 5))
        if request.match_info["key"] not in (key, npub):
            raise web.HTTPForbidden
        return key

    async def pickup(self, request: web.Request) -> web.Response:
        filters, query = [{"#p": [self.recipient(request)]}], request.query
        try:
            limit, wait = int(query.get("limit", FOREVER)), float(query.get("wait", 0))
            created_at, _, id = query.get("cursor", f"{FOREVER}.").partition(".")
            page = partial(self.find, filters, after=(int(created_at), id))
        except ValueError as error:
            raise web.HTTPBadRequest from error
        most, end = min(limit, self.relay.settings.max_limit), time.monotonic() + min(wait, 60)
        drops, is_whole = page(most)
        while not drops and is_whole and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
            drops, is_whole = page(most)
        headers = {"Dead-Drop-Finished": str(is_whole).lower()}
        if drops:
            headers["Dead-Drop-Cursor"] = f"{drops[-1]['created_at']}.{drops[-1]['id']}"
        return web.Response(text="".join(compact(drop) + "\n" for drop in drops), headers=headers)

    async def count(self, request: web.Request) -> web.Response:
        drops, _ = self.find([{"#p": [self.recipient(request)]}], FOREVER)
        return web.json_response({"count": len(drops)})

    async def allow_pages(self, _: web.Request, response: web.StreamResponse) -> None:
        """CORS, as NIP-11 wants it."""
        response.headers["Access-Control-Expose-Headers"] = "Dead-Drop-Cursor, Dead-Drop-Finished"
        for what in ("Origin", "Methods", "Headers"):
            response.headers[f"Access-Control-Allow-{what}"] = "*"

    async def sweep(self, app: web.Application) -> None:
        self.relay.store.sweep()
        loop = asyncio.get_running_loop()
        loop.call_later(SWEEP_SECONDS, lambda: loop.create_task(self.sweep(app)))


def main() -> None:
    parser = argparse.ArgumentParser(description="A relay for dead drops.")
    parser.add_argument("--listen", default="127.0.0.1:7777", help="host:port")
    parser.add_argument("--data", default="drops.sqlite", help="a file")
    parser.add_argument("--url", action="append", help="under which it is known; may be repeated")
    for name, value in SETTINGS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    settings = parser.parse_args()
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host, int(port)))
    url = "ws://{}:{}".format(*listener.getsockname())
    settings.url = settings.url or [url]
    relay = Relay(settings)
    door, app = Door(relay), web.Application(client_max_size=relay.max_message_length)
    app.add_routes(
        [
            web.get("/", door.root),
            web.post("/drop", door.post),
            web.post("/ack", partial(door.post, kinds={ACKNOWLEDGEMENT, DELETION})),
            web.get("/pickup/{key}", door.pickup),
            web.get("/pickup/{key}/count", door.count),
        ]
    )
    app.on_response_prepare.append(door.allow_pages)
    app.on_startup.append(door.sweep)
    print(f"listening on {url}", flush=True)
    web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()

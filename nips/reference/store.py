"""Events (NIP-01), and the boxes and tombstones in which they are held (../DD.md), in SQLite."""

import argparse
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import time
from functools import partial
from typing import Any, NamedTuple

from coincurve import PublicKeyXOnly

MESSAGE, DELETION, VANISH, WRAP, ACKNOWLEDGEMENT, EPHEMERAL_WRAP = 4, 5, 62, 1059, 20221, 21059
FUZZ = 172800  # how far senders move `created_at` back (NIP-59)
SKEW = 900  # how far it may be ahead
FOREVER = 1 << 62

Event = Filter = dict[str, Any]
compact = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


class Answer(NamedTuple):
    """What an event is answered with: in OK, and over HTTP with a status."""

    accepted: bool
    reason: str
    status: int
    is_live: bool = False  # whether open subscriptions get the event


class Refusal(Exception):
    """The reason and the status of an answer that is no."""


def verified(value: Any) -> Event:
    """The event, unless form, id or signature are not those of NIP-01. "A relay MUST accept ids
    for which control characters were hashed verbatim (NIP-01) or as \\u00XX (JSON)."
    """
    names = ("id", "pubkey", "created_at", "kind", "tags", "content", "sig")
    with contextlib.suppress(LookupError, TypeError, ValueError):
        event = {name: value[name] for name in names}
        id, pubkey, created_at, kind, tags, content, sig = event.values()
        texts = [content, *(text for tag in tags for text in tag)]
        escaped, control = compact([0, *list(event.values())[1:-1]]), r"\\(?:u00([01][0-9a-f])|.)"
        verbatim = re.sub(control, lambda m: chr(int(m[1], 16)) if m[1] else m[0], escaped)
        if (
            (type(created_at), type(kind), type(tags)) == (int, int, list)
            and 0 <= created_at < FOREVER
            and 0 <= kind < 1 << 16
            and all(type(tag) is list and tag for tag in tags)
            and all(type(text) is str for text in texts)
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
    """By its names, and the types of its values: what else no event has matches none."""
    types = {"since": int, "until": int, "limit": int, "ids": list, "authors": list, "kinds": list}
    return isinstance(value, dict) and all(
        type(wanted) is types.get(name, list) and (name in types or re.fullmatch("#[a-zA-Z]", name))
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
LISTED = "IN (SELECT value FROM json_each(?))"
WRITTEN = "event ->> 'kind' = 4 AND event ->> 'pubkey' = ?"


class Store:
    """What `hold`, `acknowledge` and `vanish` answer holds when their transaction is committed."""

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

    def expiry(self, drop: Event) -> int:
        """min(expiration tag, created_at + 172800 + retention)"""
        retention = next(r for until, r in self.retentions if drop["created_at"] <= until)
        return min(drop["created_at"] + FUZZ + retention, *times(drop, "expiration"), FOREVER)

    def advertised_retention(self, now: int) -> int:
        """The least that applies to events made now, dated up to 172800 seconds back."""
        applying = zip([0, *(until + 1 for until, _ in self.retentions)], *zip(*self.retentions))
        return min(r for since, until, r in applying if since <= now and until >= now - FUZZ)

    def former_retentions(self, now: int) -> list[dict[str, int]]:
        """Those under which events can still be held."""
        former = self.retentions[:-1]
        return [{"until": u, "retention": r} for u, r in former if u + FUZZ + r > now]

    def find(
        self, filters: list[Filter], most: int, after: tuple[int, str] = (FOREVER, "")
    ) -> tuple[list[Event], bool]:
        """At most so many drops that match, newest first, those beyond `after`; and whether these
        are all (NIP-67).
        """
        found, left = [], [filter.get("limit", FOREVER) for filter in filters]
        keys = json.dumps([key for filter in filters for key in filter["#p"]])
        held = f"recipient {LISTED} AND held_until > ? AND (-created_at, id) > (?, ?)"
        query = f"SELECT event FROM drops WHERE {held} ORDER BY created_at DESC, id"
        for row in self.db.execute(query, (keys, int(time.time()), -after[0], after[1])):
            event = json.loads(row[0])
            matching = [n for n, filter in enumerate(filters) if matches(filter, event)]
            if matching and (len(found) == most or all(left[n] <= 0 for n in matching)):
                return found, False
            found += [event] if matching else []
            left = [count - (n in matching) for n, count in enumerate(left)]
        return found, True

    def is_full(self) -> bool:
        disk = os.statvfs(self.settings.data)
        return disk.f_bavail * disk.f_frsize < self.settings.reserved_bytes

    def hold(self, drop: Event, now: int) -> Answer:
        """One way for the held and the acknowledged, which get "the same answer"."""
        [recipient], expiry, text = values(drop, "p"), self.expiry(drop), compact(drop)
        known = "SELECT created_at FROM drops WHERE recipient = ? AND id = ?"
        row = self.db.execute(known, (recipient, drop["id"])).fetchone()
        if row is not None and row[0] is not None:
            return Answer(True, "duplicate: already have this event", 200)
        used = "SELECT count(*), total(bytes) FROM drops WHERE recipient = ? AND held_until > ?"
        drops, bytes = self.db.execute(used, (recipient, now)).fetchone()
        size = len(text.encode())
        if drops >= self.settings.max_drops or bytes + size > self.settings.max_bytes:
            raise Refusal("rate-limited: the box is full", 507)
        if self.is_full():
            raise Refusal("error: the storage is full", 507)
        until, kept = (expiry, text) if row is None else (now, None)
        columns = (recipient, drop["id"], drop["created_at"], until, expiry, size, kept)
        self.db.execute("REPLACE INTO drops VALUES (?, ?, ?, ?, ?, ?, ?)", columns)
        return Answer(True, "", 201, is_live=row is None)

    def acknowledge(self, event: Event, now: int) -> Answer:
        """Kind 20221, and kind 5: "treat a kind 5 by the recipient as an acknowledgement, grace
        included; one that names nothing here gets OK true".
        """
        signer, ids = event["pubkey"], set(values(event, "e"))
        named, until = (signer, json.dumps(list(ids))), min(times(event, "grace"), default=now)
        self.release(f"recipient = ? AND id {LISTED}", named, until, now)
        if event["kind"] == DELETION:
            self.release(f"{WRITTEN} AND id {LISTED}", named, until, now)
        seen = f"SELECT id FROM drops WHERE recipient = ? AND id {LISTED} AND created_at NOT NULL"
        unseen = ids - {id for (id,) in self.db.execute(seen, named)}
        oldest = now - FUZZ - SKEW - self.advertised_retention(now)
        if not unseen or not oldest <= event["created_at"] <= now + SKEW:
            return Answer(True, "", 200)
        return self.remember_unseen(signer, unseen, now)

    def remember_unseen(self, signer: str, ids: set[str], now: int) -> Answer:
        """Keeps tombstones "until nothing that exists now could be accepted any more"."""
        query = "SELECT id FROM drops WHERE recipient = ? AND created_at IS NULL"
        earlier = {id for (id,) in self.db.execute(query, (signer,))}
        if len(earlier | ids) > self.settings.max_early_acknowledgements:
            return Answer(False, "rate-limited: too many drops that have not come", 429)
        if self.is_full():
            return Answer(False, "error: the storage is full", 507)
        expiry = now + SKEW + self.longest_life
        tombstone = "REPLACE INTO drops VALUES (?, ?, NULL, 0, ?, NULL, NULL)"
        self.db.executemany(tombstone, [(signer, id, expiry) for id in ids])
        return Answer(True, "", 200)

    def vanish(self, event: Event, now: int) -> Answer:
        """Leaves a tombstone of the event, too: "a kind 62 that is published again MUST NOT delete
        what came after it".
        """
        signer, until = event["pubkey"], event["created_at"]
        once = "INSERT OR IGNORE INTO drops VALUES (?, ?, ?, 0, ?, NULL, NULL)"
        tombstone = (signer, event["id"], until, until + self.longest_life)
        if self.db.execute(once, tombstone).rowcount == 1:
            for whose in ("recipient = ?", WRITTEN):
                self.release(f"{whose} AND created_at <= ?", (signer, until), now, now)
        return Answer(True, "", 200)

    def release(self, which: str, named: tuple[Any, ...], until: int, now: int) -> None:
        """Has drops held no longer than `until`, and leaves tombstones of those past it."""
        update = "UPDATE drops SET held_until = min(held_until, ?) WHERE"
        self.db.execute(f"{update} {which}", (until, *named))
        past = "event IS NOT NULL AND held_until <= ?"
        self.db.execute(f"UPDATE drops SET event = NULL WHERE {past}", (now,))

    def sweep(self, now: int) -> None:
        """Forgets what has expired, a tombstone with its drop."""
        with self.db:
            self.release("FALSE", (), now, now)
            self.db.execute("DELETE FROM drops WHERE expires_at <= ?", (now,))

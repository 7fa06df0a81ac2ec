#!/usr/bin/env python3
"""A client of dead drops, as an example for authors: sends, picks up, acknowledges, by receiving keys too.

Written from the text of NIP-DD, DR and RK (../DD.md, ../DR.md, ../RK.md) and of NIP-01, 11, 17, 42, 44, 59 and 67,
and of nothing else: what stands in quotation marks stands there. Every command prints JSON, one object a line.
"""

import argparse, asyncio, base64, hashlib, hmac, json, os, re, secrets, sys, time
from pathlib import Path
from typing import Any, cast

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse
from coincurve import PrivateKey, PublicKey, PublicKeyXOnly
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

Event = dict[str, Any]
Tags = list[list[str]]
Keys = dict[str, tuple[PrivateKey, str | None]]  # secrets by key, and whose a receiving key is

HOUR, TWO_DAYS, WEEK, AHEAD = 3600, 172800, 604800, 900
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

class Refused(Exception):
    """What this client does not do, or does not show, and why."""

FAULTS = (Refused, ClientError, OSError, LookupError, TypeError, ValueError)  # three for what peers may send

# --- Keys (BIP-340) and events (NIP-01) ---
def lift_x(key: str) -> PublicKey:
    """RK: "refuse a key that is not 64 lowercase hex digits or for which `lift_x` fails"."""
    if not re.fullmatch("[0-9a-f]{64}", key):
        raise Refused("a key is 64 lowercase hex digits")
    return PublicKey(b"\x02" + bytes.fromhex(key))  # it refuses what is no x of a point

def public(secret: PrivateKey) -> str:
    return secret.public_key_xonly.format().hex()

def shared_x(secret: PrivateKey, key: str) -> bytes:
    """The x coordinate of a·B, not hashed, as NIP-44 and RK take it."""
    return lift_x(key).multiply(secret.secret).format()[1:]

def event_ids(event: Event) -> tuple[str, str]:
    """With control characters verbatim, as NIP-01 has them, and as `\\u00XX`, which DD has relays accept too."""
    fields = [0, *(event[name] for name in ("pubkey", "created_at", "kind", "tags", "content"))]
    escaped = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    control = r"(?<!\\)((?:\\\\)*)\\u00([01][0-9a-f])"  # behind an even number of backslashes
    verbatim = re.sub(control, lambda found: found[1] + chr(int(found[2], 16)), escaped)
    return hashlib.sha256(verbatim.encode()).hexdigest(), hashlib.sha256(escaped.encode()).hexdigest()

def rumor(author: str, created_at: int, kind: int, tags: Tags, content: str) -> Event:
    """NIP-59: an event that is not signed."""
    event = {"pubkey": author, "created_at": created_at, "kind": kind, "tags": tags, "content": content}
    return {"id": event_ids(event)[0], **event}

def signed(secret: PrivateKey, created_at: int, kind: int, tags: Tags, content: str) -> Event:
    event = rumor(public(secret), created_at, kind, tags, content)
    return {**event, "sig": secret.sign_schnorr(bytes.fromhex(event["id"])).hex()}

def tag(event: Event, name: str) -> str:
    return str([tag[1] for tag in event["tags"] if tag[0] == name][0])

def check_signature(event: Event) -> None:
    key, hashed, signature = (bytes.fromhex(event[name]) for name in ("pubkey", "id", "sig"))
    if event["id"] not in event_ids(event) or not PublicKeyXOnly(key).verify(signature, hashed):
        raise Refused("the signature is not its author's")

# --- Encryption (NIP-44, version 2) ---
def padded_length(length: int) -> int:
    chunk = max(32, (1 << (length - 1).bit_length()) // 8)
    return 32 if length <= 32 else chunk * ((length - 1) // chunk + 1)

def message_keys(secret: PrivateKey, key: str, nonce: bytes) -> tuple[Cipher[None], bytes]:
    keys = HKDFExpand(SHA256(), 76, nonce).derive(hmac.digest(b"nip44-v2", shared_x(secret, key), "sha256"))
    # The library takes the counter, which starts with 0, before the nonce.
    return Cipher(algorithms.ChaCha20(keys[:32], bytes(4) + keys[32:44]), None), keys[44:]

def encrypt(secret: PrivateKey, key: str, text: str, nonce: bytes | None = None) -> str:
    plain, nonce = text.encode(), nonce or secrets.token_bytes(32)
    if not 1 <= len(plain) <= 65535:
        raise Refused("NIP-44 encrypts from 1 to 65535 bytes")
    cipher, mac_key = message_keys(secret, key, nonce)
    padding = bytes(padded_length(len(plain)) - len(plain))
    hidden = nonce + cipher.encryptor().update(len(plain).to_bytes(2) + plain + padding)
    return base64.b64encode(b"\x02" + hidden + hmac.digest(mac_key, hidden, "sha256")).decode()

def decrypt(secret: PrivateKey, key: str, text: str) -> str:
    version = base64.b64decode(text, validate=True) if not text.startswith("#") else b""
    if len(version) < 99 or version[0] != 2:
        raise Refused("not version 2 of NIP-44")
    hidden, mac = version[1:-32], version[-32:]
    cipher, mac_key = message_keys(secret, key, hidden[:32])
    if not hmac.compare_digest(mac, hmac.digest(mac_key, hidden, "sha256")):
        raise Refused("encrypted to another key, or changed")
    padded = cipher.decryptor().update(hidden[32:])
    length = int.from_bytes(padded[:2])
    if length == 0 or len(padded) != 2 + padded_length(length):
        raise Refused("wrong padding")
    return padded[2 : 2 + length].decode()

# --- Gift wraps (NIP-59, NIP-17) ---
def gift_wrap(identity: PrivateKey, message: Event, to: str, box: str, now: int, expires: int | None) -> Event:
    """Sealed for `to`, wrapped for `box`. RK: "`P` takes the place of the recipient's key in the `p` tag and the
    encryption of the gift wrap, and nowhere else", and a wrap is not dated later than the time of its epoch."""
    moved, once = [now - secrets.randbelow(TWO_DAYS + 1) for _ in range(2)], PrivateKey()
    seal = signed(identity, moved[0], 13, [], encrypt(identity, to, json.dumps(message, ensure_ascii=False)))
    tags = [["p", box]]
    if expires is not None:
        # DD: "round an `expiration` up and add a random part". That it is an hour is chosen here.
        tags.append(["expiration", str(-(-(now + expires) // HOUR) * HOUR + secrets.randbelow(HOUR))])
    return signed(once, moved[1], 1059, tags, encrypt(once, box, json.dumps(seal)))

def open_wrap(identity: PrivateKey, wrap: Event, secret: PrivateKey, contact: str | None) -> Event:
    """The message in a wrap that came to the key of `secret`, a receiving key for `contact` if there is one."""
    check_signature(wrap)
    seal = json.loads(decrypt(secret, wrap["pubkey"], wrap["content"]))
    check_signature(seal)
    if seal["kind"] != 13:
        raise Refused("no seal inside")
    if contact not in (None, seal["pubkey"]):
        # RK: "MUST NOT show or answer a message whose seal is not signed by the contact that the key is for".
        raise Refused("not sealed by the contact of this receiving key")
    message: Event = json.loads(decrypt(identity, seal["pubkey"], seal["content"]))
    if message["pubkey"] != seal["pubkey"]:
        raise Refused("sealed by another than its author")  # NIP-17: "any sender can impersonate others"
    if message["id"] not in event_ids(message):
        raise Refused("its id is not its hash")
    return message

# --- Receiving keys (RK) ---
def tweak(secret: PrivateKey, other: str, sender: str, recipient: str, epoch: int) -> int:
    """`t` of the steps 1 to 3. "The sender's key comes first whoever computes"."""
    if not 0 <= epoch <= 2**53 - 1:
        raise Refused("an epoch is a whole number from 0 to 2^53 - 1")
    tag = hashlib.sha256(b"nostr/receiving-key").digest()
    hashed = shared_x(secret, other) + bytes.fromhex(sender + recipient) + epoch.to_bytes(8)
    t = int.from_bytes(hashlib.sha256(tag + tag + hashed).digest()) % CURVE_ORDER
    if t == 0:
        raise Refused("t is 0")
    return t

def receiving_key(a: PrivateKey, B: str, epoch: int) -> str:
    """`P`, "the x coordinate of `lift_x(B) + t·G`". The library refuses the point at infinity."""
    t = tweak(a, B, public(a), B, epoch)
    return lift_x(B).add(t.to_bytes(32)).format()[1:].hex()

def receiving_secret(b: PrivateKey, A: str, epoch: int) -> PrivateKey:
    """"`p = (b' + t) mod n`". The library refuses 0."""
    even = b.public_key.format()[0] == 2
    p = (b.to_int() if even else CURVE_ORDER - b.to_int()) + tweak(b, A, A, public(b), epoch)
    return PrivateKey.from_int(p % CURVE_ORDER)

# --- Relays ---
async def answers(socket: ClientWebSocketResponse, verb: str, events: list[Event]) -> list[tuple[bool, str]]:
    """Sends the events and waits for the `OK` of each. A challenge that comes meanwhile is not answered."""
    for event in events:
        await socket.send_json([verb, event])
    given: dict[str, tuple[bool, str]] = {}
    while any(event["id"] not in given for event in events):
        match await socket.receive_json(timeout=60):
            case ["OK", str(event_id), bool(ok), str(reason), *_]:
                given[event_id] = (ok, reason)
    return [given[event["id"]] for event in events]

async def publish(url: str, events: list[Event]) -> bool:
    """Whether the relay took all. DD: "A sender SHOULD NOT publish drops on an authenticated connection"."""
    try:
        async with ClientSession() as session, session.ws_connect(url) as socket:
            given = await answers(socket, "EVENT", events)
    except FAULTS as error:
        given = [(False, f"error: {error}")] * len(events)
    for event, (ok, reason) in zip(events, given):
        say(relay=url, event=event["id"], ok=ok, reason=reason)
    return all(ok for ok, _ in given)

async def dead_drop(url: str) -> dict[str, Any]:
    """What the relay says of itself (NIP-11)."""
    headers = {"Accept": "application/nostr+json"}
    async with ClientSession() as session, session.get(re.sub("^ws", "http", url), headers=headers) as response:
        document = await response.json(content_type=None)
    if not isinstance(about := document.get("dead_drop"), dict):
        raise Refused("no dead drop: it has no `dead_drop` object")
    return about

async def authenticate(socket: ClientWebSocketResponse, url: str, keys: Keys) -> None:
    """DD: a relay challenges "at its first `REQ`". This one has no other use: a request that is held may be answered
    when the first of several keys is authenticated."""
    await socket.send_json(["REQ", "challenge", {}])
    while (message := await socket.receive_json(timeout=60))[0] != "AUTH":
        pass
    await socket.send_json(["CLOSE", "challenge"])
    tags = [["relay", url], ["challenge", message[1]]]
    # By this machine's clock, whatever time the command was given: the relay compares it with its own.
    events = [signed(secret, int(time.time()), 22242, tags, "") for secret, _ in keys.values()]
    if refused := [reason for ok, reason in await answers(socket, "AUTH", events) if not ok]:
        raise Refused(refused[0])

async def held(url: str, keys: Keys) -> tuple[dict[str, Event], bool]:
    """What is held for these keys, and whether that is all."""
    drops: dict[str, Event] = {}
    # DD: "SHOULD ask without `since`"; without `#p` it names all keys authenticated. Kind 4 is left to who can read it.
    request: dict[str, Any] = {"kinds": [1059]}
    async with ClientSession() as session, session.ws_connect(url) as socket:
        await authenticate(socket, url, keys)
        while True:
            await socket.send_json(["REQ", "box", request])
            before = len(drops)
            while (message := await socket.receive_json(timeout=60))[:2] != ["EOSE", "box"]:
                match message:
                    case ["EVENT", "box", event]:
                        drops[event["id"]] = event
                    case ["CLOSED", "box", reason]:
                        raise Refused(reason)
            more, finish = (hint in (message[2:] or [[]])[0] for hint in ("more", "finish"))
            # DD has a relay say `more` where the first answer is not all; later ones have an `until`, and without a
            # hint NIP-67 has one go on. A page of drops that came before is of one second that holds more than that.
            if finish or len(drops) == before or not (more or "until" in request):
                return drops, not more
            request["until"] = min(event["created_at"] for event in drops.values())

class State:
    """Secrets, contacts' base keys, which key each drop came to, and which messages came from whom."""

    def __init__(self, path: Path, secret: PrivateKey) -> None:
        self.path = path
        self.data: dict[str, Any] = {"secret": secret.to_hex(), "contacts": {}, "drops": {}, "messages": {}}
        self.data |= json.loads(path.read_text()) if path.exists() else {}
        self.identity = PrivateKey.from_hex(self.data["secret"])

    def save(self) -> None:
        with open(f"{self.path}.new", "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(self.data, file)
        os.replace(file.name, self.path)

    def contact(self, key: str) -> dict[str, list[dict[str, Any]]]:
        return cast(dict[str, Any], self.data["contacts"].setdefault(key, {"mine": [], "theirs": []}))

    def receiving_key(self, contact: str, now: int) -> str:
        """RK: not "before it has the recipient's announcement", nor before its own is sent."""
        mine = [base for base in self.contact(contact)["mine"] if base["sent"]]
        theirs = self.contact(contact)["theirs"]
        if not mine or not theirs:
            raise Refused("receiving keys take an announcement each way")
        a, B = (max(bases, key=lambda base: base["created_at"])["base"] for bases in (mine, theirs))
        return receiving_key(PrivateKey.from_hex(a), B, now // WEEK)

    def receiving_secrets(self, epoch: int) -> Keys:
        """Of all pairs of base keys that were announced: who sends may not have the newest of the other yet."""
        return {public(secret): (secret, contact) for contact, bases in self.data["contacts"].items()
                for mine in bases["mine"] for theirs in bases["theirs"]
                for secret in [receiving_secret(PrivateKey.from_hex(mine["base"]), theirs["base"], epoch)]}

    def learn(self, message: Event) -> None:
        """RK: "take an announcement for the contact who signed the seal, and for nobody else"."""
        self.data["messages"][message["id"]] = {"from": message["pubkey"], "kind": message["kind"]}
        if message["kind"] == 19:
            lift_x(base := tag(message, "base"))
            theirs = self.contact(message["pubkey"])["theirs"]
            if base not in (known["base"] for known in theirs):
                theirs.append({"base": base, "created_at": message["created_at"]})

# --- Commands: each answers whether all went well ---
def say(**fields: Any) -> None:
    print(json.dumps(fields, ensure_ascii=False), flush=True)

async def publish_to_all(relays: list[str], events: list[Event]) -> bool:
    """DD: "publish to all relays of the recipient's kind `10050` list". One that takes it is enough here."""
    return any(await asyncio.gather(*(publish(url, events) for url in relays)))

async def send(state: State, args: argparse.Namespace, kind: int, tags: Tags, content: str) -> bool:
    box = state.receiving_key(args.to, args.now) if args.receiving else args.to
    message = rumor(public(state.identity), args.now, kind, [["p", args.to], *tags], content)
    wrap = gift_wrap(state.identity, message, args.to, box, args.now, args.expires)
    say(message=message["id"], drop=wrap["id"], box=box, wrap=wrap)
    return not args.relay or await publish_to_all(args.relay, [wrap])

async def drop(state: State, args: argparse.Namespace) -> bool:
    return await send(state, args, 14, [], args.text)

async def again(state: State, args: argparse.Namespace) -> bool:
    """DD: to publish "again where it is not sure"."""
    return await publish_to_all(args.relay, [json.loads(line) for line in sys.stdin])

async def announce(state: State, args: argparse.Namespace) -> bool:
    base = PrivateKey()
    made = {"base": base.to_hex(), "created_at": args.now, "sent": False}
    state.contact(args.to)["mine"].append(made)
    state.save()  # before anybody can send to it
    made["sent"] = sent = await send(state, args, 19, [["base", public(base)]], "")
    return sent

async def receipt(state: State, args: argparse.Namespace) -> bool:
    """DR: "MUST NOT send receipts unless its user asked for them", so this is no part of `pickup`."""
    came = [state.data["messages"].get(message_id, {"from": None}) for message_id in args.ids]
    if any(message["from"] != args.to or message["kind"] == 18 for message in came):
        raise Refused("not a message of theirs that was picked up, or itself a receipt")
    await asyncio.sleep(secrets.randbelow(args.delay + 1))
    return await send(state, args, 18, [["e", message_id] for message_id in args.ids], "")

async def pickup(state: State, args: argparse.Namespace) -> bool:
    well, shown = True, set[str]()
    for url in args.relay:
        try:
            connections: list[tuple[int | None, Keys]] = [(None, {public(state.identity): (state.identity, None)})]
            if args.receiving:
                about = await dead_drop(url)
                longest = max(each["retention"] for each in [about, *about.get("former_retentions", [])])
                epochs = range((args.now - TWO_DAYS - longest) // WEEK, (args.now + AHEAD) // WEEK + 1)
                connections = [(epoch, state.receiving_secrets(epoch)) for epoch in epochs]
            for epoch, keys in connections:
                # RK: not "keys of two epochs, or its own key beside one, on one connection"; each at "another time".
                await asyncio.sleep(secrets.randbelow(args.spread + 1) if args.receiving else 0)
                drops, complete = await held(url, keys) if keys else ({}, True)
                say(relay=url, epoch=epoch, keys=len(keys), drops=len(drops), complete=complete)
                well &= complete
                for event in sorted(drops.values(), key=lambda event: event["created_at"]):
                    if event["id"] not in shown:
                        show(state, event, keys, epoch)
                        shown.add(event["id"])
        except FAULTS as error:
            say(relay=url, error=str(error))
            well = False
    return well

def show(state: State, event: Event, keys: Keys, epoch: int | None) -> None:
    """Prints the message, or why there is none, which RK has acknowledged "like any other"."""
    secret, contact = keys[box := tag(event, "p")]
    state.data["drops"][event["id"]] = {"secret": secret.to_hex(), "epoch": epoch}
    try:
        message = open_wrap(state.identity, event, secret, contact)
        state.learn(message)
        say(drop=event["id"], box=box, message=message)
    except FAULTS as reason:
        say(drop=event["id"], box=box, hidden=str(reason))

async def acknowledge(state: State, args: argparse.Namespace) -> bool:
    """RK: "acknowledge each drop with the secret it came to"; none for two epochs on one connection, as in AUTH."""
    ids, own = args.ids or list(state.data["drops"]), {"secret": state.identity.to_hex(), "epoch": None}
    grace = [["grace", str(args.now + args.grace)]] if args.grace is not None else []
    connections: dict[int | None, dict[str, list[str]]] = {}
    for drop_id in ids:
        came = state.data["drops"].get(drop_id, own)
        connections.setdefault(came["epoch"], {}).setdefault(came["secret"], []).append(drop_id)
    well = True
    for url in args.relay:
        try:
            most = (await dead_drop(url))["max_acknowledgement_ids"]  # which also tells that it is a dead drop
        except FAULTS as error:
            say(relay=url, error=str(error))
            well = False
            continue
        for boxes in connections.values():
            parts = [(secret, of[at : at + most]) for secret, of in boxes.items() for at in range(0, len(of), most)]
            events = [signed(PrivateKey.from_hex(secret), args.now, 20221, [["e", one] for one in part] + grace, "")
                      for secret, part in parts]
            well &= await publish(url, events)
    if well and not grace:
        state.data["drops"] = {drop_id: came for drop_id, came in state.data["drops"].items() if drop_id not in ids}
    return well

async def init(state: State, args: argparse.Namespace) -> bool:
    say(pubkey=public(state.identity))
    return True

def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="file of this device, made if it is not there")
    parser.add_argument("--secret", type=PrivateKey.from_hex, default=PrivateKey(), help="for a new state file")
    parser.add_argument("--now", type=int, default=int(time.time()), help="Unix time for all but AUTH")
    parser.set_defaults(receiving=False)
    commands = parser.add_subparsers(required=True)
    for run in (init, drop, again, announce, receipt, pickup, acknowledge):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--relay", action="append", default=[], help="URL, may be repeated; none: print only")
        if run in (drop, announce, receipt):
            command.add_argument("--to", required=True, help="the recipient's own key, 64 hex digits")
            command.add_argument("--expires", type=int, help="seconds")
        if run in (drop, receipt, pickup):
            command.add_argument("--receiving", action="store_true", help="by receiving keys")
        if run in (receipt, acknowledge):
            command.add_argument("ids", nargs="*", help="of messages" if run is receipt else "of drops")
    commands.choices["drop"].add_argument("text")
    commands.choices["receipt"].add_argument("--delay", type=int, default=600, help="seconds at most")
    commands.choices["pickup"].add_argument("--spread", type=int, default=30, help="seconds between epochs at most")
    commands.choices["acknowledge"].add_argument("--grace", type=int, help="seconds left to other devices")
    args = parser.parse_args()
    state = State(args.state, args.secret)
    try:
        return 0 if asyncio.run(args.run(state, args)) else 1
    except FAULTS as error:
        say(error=str(error))
        return 1
    finally:
        state.save()

if __name__ == "__main__":
    sys.exit(main())

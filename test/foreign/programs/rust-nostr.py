"""The Python package nostr-sdk (rust-nostr). The conversation is that of line.mjs."""

import asyncio
import datetime
import json
import sys


from nostr_sdk import (  # noqa: E402
    ClientBuilder,
    Event,
    EventBuilder,
    EventId,
    Filter,
    Keys,
    Kind,
    NegentropyItem,
    PublicKey,
    RelayUrl,
    ReqTarget,
    SecretKey,
    SignerAuthenticator,
    SyncOptions,
    Tag,
    Timestamp,
    nip17_make_private_msg,
)

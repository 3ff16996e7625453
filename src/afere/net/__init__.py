"""The one HTTP client: pooled, proxies and certificates respected, outbound addresses checked."""

from afere.net.address import check_address as check_address
from afere.net.call import Answer as Answer
from afere.net.call import Call as Call
from afere.net.call import HostFailed as HostFailed
from afere.net.call import HostTimedOut as HostTimedOut
from afere.net.call import HostUnreachable as HostUnreachable
from afere.net.call import retry_after as retry_after
from afere.net.client import AsyncStreamedAnswer as AsyncStreamedAnswer
from afere.net.client import StreamedAnswer as StreamedAnswer
from afere.net.client import asend as asend
from afere.net.client import astream as astream
from afere.net.client import send as send
from afere.net.client import stream as stream

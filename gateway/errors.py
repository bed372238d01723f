"""Errors of the gateway itself.

    HoldfastError
    ├── GatewayError
    │   ├── Unauthorized          no token, a wrong one, or one that expired: authenticate
    │   │   └── UserRequired      the path says `me` and nothing in the request says who that is
    │   ├── Forbidden             authenticated, and still not allowed
    │   │   ├── UserMismatch      the request's own user is not the path's
    │   │   └── OriginRefused     a browser page of another origin, or a host name that is not ours
    │   ├── NotFound              no such route
    │   │   └── ProfileNotFound   the user has no such profile
    │   ├── BodyTooLarge          past the bound of this endpoint
    │   ├── RequestTimeout        the body stopped arriving
    │   ├── DefaultProfile        the default profile stays
    │   ├── TooManyProfiles       past the bound of profiles per user
    │   └── Busy                  more requests in flight than the bound: retry
    └── InvalidRequest
        └── BindRefused           without a token the service binds to loopback only

`ClientGone` is no answer to anybody: the peer hung up while its body was read.
"""

from __future__ import annotations

from storage.errors import HoldfastError, InvalidRequest


class GatewayError(HoldfastError):
    code = "gateway_error"


class Unauthorized(GatewayError):
    code = "unauthorized"


class UserRequired(Unauthorized):
    code = "user_required"


class Forbidden(GatewayError):
    code = "forbidden"


class UserMismatch(Forbidden):
    code = "user_mismatch"


class OriginRefused(Forbidden):
    code = "origin_refused"


class NotFound(GatewayError):
    code = "not_found"


class ProfileNotFound(NotFound):
    code = "profile_not_found"


class BodyTooLarge(GatewayError):
    code = "body_too_large"


class RequestTimeout(GatewayError):
    code = "request_timeout"
    retryable = True


class DefaultProfile(GatewayError):
    code = "default_profile"


class TooManyProfiles(GatewayError):
    code = "too_many_profiles"


class Busy(GatewayError):
    code = "overloaded"
    retryable = True


class BindRefused(InvalidRequest):
    code = "bind_refused"


class ClientGone(Exception):
    """The client closed its connection before its request was complete."""

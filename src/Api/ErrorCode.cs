using System.Text.Json.Serialization;

namespace Godwit.Api;

/// <summary>Stable error codes of the REST interface and the worker protocol; scripts compare them, so names never change.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ErrorCode>))]
public enum ErrorCode
{
    /// <summary>Anything without a code of its own; the log has more.</summary>
    Internal = 0,

    /// <summary>The request is malformed or a value is out of range.</summary>
    InvalidRequest = 1,

    /// <summary>No VM, disk or job of that name or id.</summary>
    NotFound = 2,

    /// <summary>The name or the file exists already.</summary>
    AlreadyExists = 3,

    /// <summary>The object is in a state that does not allow this now.</summary>
    WrongState = 4,

    /// <summary>Another job works on the same object.</summary>
    Busy = 5,

    /// <summary>A path outside the allowed folders, or permission refused.</summary>
    AccessDenied = 6,

    /// <summary>No room on the target.</summary>
    NoSpace = 7,

    /// <summary>A file breaks its format's rules.</summary>
    Corrupt = 8,

    /// <summary>Not offered by this version.</summary>
    Unsupported = 9,

    /// <summary>A device or file system failed.</summary>
    IoFailed = 10,

    /// <summary>The job was cancelled.</summary>
    Cancelled = 11,

    /// <summary>A worker or QEMU did not answer in time.</summary>
    Unavailable = 12,

    /// <summary>It is not known who asks: no token or certificate, or one that is not good.</summary>
    Unauthenticated = 13,

    /// <summary>The caller's role does not allow this.</summary>
    Forbidden = 14,

    /// <summary>The caller asks too often.</summary>
    TooManyRequests = 15,
}

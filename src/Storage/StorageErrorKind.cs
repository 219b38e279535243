namespace Godwit.Storage;

/// <summary>
/// What went wrong, as a small and stable list. Every value has an NBD error, an HTTP status and a PowerShell category;
/// the numbers are part of the host-to-worker protocol and never change meaning.
/// </summary>
public enum StorageErrorKind
{
    /// <summary>The device or file system failed the request (EIO and whatever has no kind of its own).</summary>
    IoFailed = 0,

    /// <summary>The file or a folder on its path does not exist.</summary>
    NotFound = 1,

    /// <summary>The file exists and was required not to.</summary>
    AlreadyExists = 2,

    /// <summary>Permission was refused, or the path is outside what the host allows.</summary>
    AccessDenied = 3,

    /// <summary>Another process or another opening holds the file.</summary>
    InUse = 4,

    /// <summary>The file system, quota or format has no room left.</summary>
    NoSpace = 5,

    /// <summary>The file breaks its format's rules; the message names offset and rule.</summary>
    Corrupt = 6,

    /// <summary>Valid, but a feature this version does not offer.</summary>
    Unsupported = 7,

    /// <summary>Offset, length or alignment is outside what the device accepts; the caller's mistake.</summary>
    InvalidRequest = 8,

    /// <summary>The device was opened for reading only.</summary>
    ReadOnly = 9,

    /// <summary>The device has been closed, or an earlier fatal error poisoned it.</summary>
    Closed = 10,

    /// <summary>The parent of a differencing disk was not found; the message lists the places that were tried.</summary>
    ParentNotFound = 11,

    /// <summary>The file found is not the parent the child was made from, or it has changed since.</summary>
    ParentMismatch = 12,

    /// <summary>The device is at the other end of a link that is broken now; it is tried again by itself.</summary>
    Unreachable = 13,
}

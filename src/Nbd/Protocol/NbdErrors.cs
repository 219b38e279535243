using Godwit.Storage;

namespace Godwit.Nbd.Protocol;

/// <summary>The one table between storage errors and the numbers on the wire, in both directions.</summary>
internal static class NbdErrors
{
    /// <summary>The number to answer with. Every <see cref="StorageErrorKind"/> has one; a test walks them all.</summary>
    public static NbdError FromKind(StorageErrorKind kind) => kind switch
    {
        StorageErrorKind.IoFailed => NbdError.Io,
        StorageErrorKind.NotFound => NbdError.Io,
        StorageErrorKind.AlreadyExists => NbdError.Io,
        StorageErrorKind.AccessDenied => NbdError.NotPermitted,
        StorageErrorKind.InUse => NbdError.NotPermitted,
        StorageErrorKind.NoSpace => NbdError.NoSpace,
        StorageErrorKind.Corrupt => NbdError.Io,
        StorageErrorKind.Unsupported => NbdError.NotSupported,
        StorageErrorKind.InvalidRequest => NbdError.Invalid,
        StorageErrorKind.ReadOnly => NbdError.NotPermitted,
        StorageErrorKind.Closed => NbdError.ShuttingDown,
        StorageErrorKind.ParentNotFound => NbdError.Io,
        StorageErrorKind.ParentMismatch => NbdError.Io,
        StorageErrorKind.Unreachable => NbdError.Io,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "a storage error kind without an NBD error"),
    };

    /// <summary>The number for whatever a device threw. A cancelled request means the server is stopping.</summary>
    public static NbdError FromException(Exception failure) => failure switch
    {
        StorageException storage => FromKind(storage.Kind),
        OperationCanceledException => NbdError.ShuttingDown,
        OutOfMemoryException => NbdError.NoMemory,
        _ => NbdError.Io,
    };

    /// <summary>What a number a server sent means to us. Numbers the protocol does not name count as invalid requests,
    /// as it asks of clients.</summary>
    public static StorageErrorKind ToKind(uint error) => (NbdError)error switch
    {
        NbdError.NotPermitted => StorageErrorKind.AccessDenied,
        NbdError.Io => StorageErrorKind.IoFailed,
        NbdError.NoMemory => StorageErrorKind.IoFailed,
        NbdError.NoSpace => StorageErrorKind.NoSpace,
        NbdError.NotSupported => StorageErrorKind.Unsupported,
        NbdError.ShuttingDown => StorageErrorKind.Closed,
        _ => StorageErrorKind.InvalidRequest,
    };
}

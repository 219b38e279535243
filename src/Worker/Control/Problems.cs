using Godwit.Api;
using Godwit.Storage;

namespace Godwit.Worker.Control;

/// <summary>Storage errors in the words of the worker protocol.</summary>
internal static class Problems
{
    /// <summary>The problem a caller sees for an error of the storage layer.</summary>
    internal static Problem Of(StorageException error) => new(Code(error.Kind), error.Message, Remedy(error.Kind));

    /// <summary>The problem a caller sees for any error that has words for it; null for a defect of ours.</summary>
    internal static Problem? TryOf(Exception error) => error switch
    {
        GodwitException known => known.Problem,
        StorageException storage => Of(storage),
        UnauthorizedAccessException denied => new Problem(ErrorCode.AccessDenied, denied.Message, Remedy(StorageErrorKind.AccessDenied)),
        IOException failed => new Problem(ErrorCode.IoFailed, failed.Message),
        _ => null,
    };

    /// <summary>Every kind has a code; a test walks them.</summary>
    internal static ErrorCode Code(StorageErrorKind kind) => kind switch
    {
        StorageErrorKind.IoFailed => ErrorCode.IoFailed,
        StorageErrorKind.NotFound => ErrorCode.NotFound,
        StorageErrorKind.AlreadyExists => ErrorCode.AlreadyExists,
        StorageErrorKind.AccessDenied => ErrorCode.AccessDenied,
        StorageErrorKind.InUse => ErrorCode.Busy,
        StorageErrorKind.NoSpace => ErrorCode.NoSpace,
        StorageErrorKind.Corrupt => ErrorCode.Corrupt,
        StorageErrorKind.Unsupported => ErrorCode.Unsupported,
        StorageErrorKind.InvalidRequest => ErrorCode.InvalidRequest,
        StorageErrorKind.ReadOnly or StorageErrorKind.Closed => ErrorCode.WrongState,
        StorageErrorKind.ParentNotFound => ErrorCode.NotFound,
        StorageErrorKind.ParentMismatch => ErrorCode.Corrupt,
        StorageErrorKind.Unreachable => ErrorCode.Unavailable,
        _ => ErrorCode.Internal,
    };

    private static string? Remedy(StorageErrorKind kind) => kind switch
    {
        StorageErrorKind.NotFound => "check the path",
        StorageErrorKind.AlreadyExists => "choose another name or remove the file first",
        StorageErrorKind.AccessDenied => "check owner, permissions and mount options of the file and its folders, and the folders this host allows",
        StorageErrorKind.InUse => "find the process that has the file open and end it",
        StorageErrorKind.NoSpace => "free space on that file system or choose another one",
        StorageErrorKind.Corrupt => "check the image with \"godwit disk check\"",
        StorageErrorKind.ParentNotFound => "put the parent beside its child, or tell where it is with \"godwit disk set-parent\"",
        StorageErrorKind.ParentMismatch => "find the parent as it was when the child was made; \"godwit disk info\" shows the chain",
        StorageErrorKind.Unreachable => "check the network and the other host; it is tried again by itself",
        _ => null,
    };
}

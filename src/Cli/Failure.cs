using Godwit.Api;
using Godwit.Storage;

namespace Godwit.Cli;

/// <summary>What an exception becomes for the user: a sentence, a remedy and an exit code.</summary>
internal static class Failure
{
    private const string CheckPermission =
        "check owner and mode of the file and of the folders above it, and that its file system can be written, or be root";

    /// <summary>The exit code for a problem.</summary>
    public static int ExitCodeFor(ErrorCode code) => code switch
    {
        ErrorCode.NotFound => ExitCode.NotFound,
        ErrorCode.Cancelled => ExitCode.Cancelled,
        _ => ExitCode.Failed,
    };

    /// <summary>The problem behind an expected exception, or null for one that is a defect of this program.</summary>
    public static Problem? TryDescribe(Exception exception) => exception switch
    {
        GodwitException e => e.Problem,
        StorageException e => Describe(e),
        FileNotFoundException or DirectoryNotFoundException => new Problem(ErrorCode.NotFound, exception.Message, null),
        UnauthorizedAccessException => new Problem(ErrorCode.AccessDenied, exception.Message, CheckPermission),
        IOException =>
            new Problem(ErrorCode.IoFailed, exception.Message, "look at the kernel's log (dmesg) for errors of the device"),
        _ => null,
    };

    /// <summary>A storage error with what to do about it.</summary>
    public static Problem Describe(StorageException e) => e.Kind switch
    {
        StorageErrorKind.NotFound => Advised(ErrorCode.NotFound, e, "check the path"),
        StorageErrorKind.AlreadyExists when e.Path?.EndsWith(".partial", StringComparison.Ordinal) == true => Advised(
            ErrorCode.AlreadyExists, e, "give --restart to remove the unfinished file and begin anew, if you do not need it"),
        StorageErrorKind.AlreadyExists =>
            new(ErrorCode.AlreadyExists, e.Message, "choose another name, or remove the file first if you do not need it"),
        StorageErrorKind.AccessDenied => Advised(ErrorCode.AccessDenied, e, CheckPermission),
        StorageErrorKind.InUse => Advised(ErrorCode.Busy, e, "stop the VM or the program that has it open"),
        StorageErrorKind.NoSpace => Advised(ErrorCode.NoSpace, e, "make room, or choose a file system with more space"),
        StorageErrorKind.Corrupt => new(
            ErrorCode.Corrupt, e.Message, "godwit disk check lists what is wrong with the file, godwit disk repair mends a copy of it"),
        StorageErrorKind.ParentNotFound => new(
            ErrorCode.NotFound, e.Message,
            "put the parent beside its child, give --path-map, or write its new place into the child with godwit disk set-parent"),
        StorageErrorKind.ParentMismatch => new(
            ErrorCode.Corrupt, e.Message,
            "find the parent as it was when the child was made; --ignore-parent-mismatch reads the chain all the same, perhaps wrongly"),
        StorageErrorKind.Unreachable => Advised(ErrorCode.Unavailable, e, "check the network and the other host; it is tried again by itself"),
        StorageErrorKind.Unsupported => new(ErrorCode.Unsupported, e.Message),
        StorageErrorKind.InvalidRequest => new(ErrorCode.InvalidRequest, e.Message),
        StorageErrorKind.ReadOnly => new(ErrorCode.AccessDenied, e.Message),
        _ => new(ErrorCode.IoFailed, e.Message, "look at the kernel's log (dmesg) for errors of the device"),
    };

    // Storage has a word of advice of its own behind a semicolon, for those who see the message alone.
    private static Problem Advised(ErrorCode code, StorageException e, string remedy)
    {
        var reason = e.Reason.Split("; ", 2)[0];
        return new Problem(code, new StorageException(e.Kind, reason, e.Path, e.Offset, e.Operation).Message, remedy);
    }
}

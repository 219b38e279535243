using Godwit.Api;
using Godwit.Storage;

namespace Godwit.Cli;

/// <summary>What an exception becomes for the user: a sentence, a remedy and an exit code.</summary>
internal static class Failure
{
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
        UnauthorizedAccessException => new Problem(
            ErrorCode.AccessDenied, exception.Message, "check owner and mode of the file and of the folders above it, or run this as root"),
        IOException => new Problem(ErrorCode.IoFailed, exception.Message, "look at the kernel's log (dmesg) for errors of the device"),
        _ => null,
    };

    /// <summary>A storage error with what to do about it.</summary>
    public static Problem Describe(StorageException e)
    {
        var (code, remedy) = e.Kind switch
        {
            StorageErrorKind.NotFound => (ErrorCode.NotFound, "check the path"),
            StorageErrorKind.AlreadyExists => (ErrorCode.AlreadyExists, "choose another name, or remove the file first if you do not need it"),
            StorageErrorKind.AccessDenied => (
                ErrorCode.AccessDenied, "check owner and mode of the file and of the folders above it, or run this as root"),
            StorageErrorKind.InUse => (
                ErrorCode.Busy, "stop the VM or the program that has it open; for a disk of a running VM use godwit vm show and vm move-storage"),
            StorageErrorKind.NoSpace => (ErrorCode.NoSpace, "make room, or choose a file system with more space"),
            StorageErrorKind.Corrupt => (ErrorCode.Corrupt, "godwit disk check lists everything that is wrong with the file; keep a copy before repairing it"),
            StorageErrorKind.Unsupported => (ErrorCode.Unsupported, (string?)null),
            StorageErrorKind.InvalidRequest => (ErrorCode.InvalidRequest, null),
            StorageErrorKind.ReadOnly => (ErrorCode.AccessDenied, "mount the file system for writing, or choose another folder"),
            _ => (ErrorCode.IoFailed, "look at the kernel's log (dmesg) for errors of the device"),
        };
        return new Problem(code, e.Message, remedy);
    }
}

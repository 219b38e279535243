using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>Linux error numbers, and what each means to a user of Storage.</summary>
internal static class Errno
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int Interrupted = 4;
    public const int Io = 5;
    public const int NoSuchAddress = 6;
    public const int TryAgain = 11;
    public const int Access = 13;
    public const int Busy = 16;
    public const int Exists = 17;
    public const int AcrossFileSystems = 18;
    public const int NoDevice = 19;
    public const int NotFolder = 20;
    public const int IsFolder = 21;
    public const int Invalid = 22;
    public const int TextBusy = 26;
    public const int TooBig = 27;
    public const int NoSpace = 28;
    public const int ReadOnlyFileSystem = 30;
    public const int NameTooLong = 36;
    public const int NoLocks = 37;
    public const int NoSystemCall = 38;
    public const int TooManyLinks = 40;
    public const int NotSupported = 95;
    public const int Quota = 122;

    /// <summary>The kind an error number belongs to.</summary>
    public static StorageErrorKind ToKind(int errno) => errno switch
    {
        NoEntry or NotFolder => StorageErrorKind.NotFound,
        Exists => StorageErrorKind.AlreadyExists,
        NotPermitted or Access or ReadOnlyFileSystem => StorageErrorKind.AccessDenied,
        TryAgain or Busy or TextBusy => StorageErrorKind.InUse,
        NoSpace or Quota or TooBig => StorageErrorKind.NoSpace,
        IsFolder or NameTooLong or TooManyLinks => StorageErrorKind.InvalidRequest,
        NotSupported or NoSystemCall => StorageErrorKind.Unsupported,
        _ => StorageErrorKind.IoFailed,
    };

    /// <summary>The file system or device cannot do this kind of request at all, so ask for it another way.</summary>
    public static bool MeansUnsupported(int errno) => errno is NotSupported or NoSystemCall or Invalid or NoDevice;

    /// <summary>The exception for the call that has just failed.</summary>
    public static StorageException Last(string path, string operation, long? offset = null) =>
        ToException(Marshal.GetLastPInvokeError(), path, operation, offset);

    /// <summary>The exception for an error number.</summary>
    public static StorageException ToException(int errno, string path, string operation, long? offset = null)
    {
        var text = Marshal.GetPInvokeErrorMessage(errno);
        var advice = ToKind(errno) switch
        {
            StorageErrorKind.NoSpace => "; free some space or raise the quota",
            StorageErrorKind.AccessDenied => "; check owner, mode and mount options",
            StorageErrorKind.InUse => "; stop whatever uses it",
            StorageErrorKind.NotFound => "; check the path",
            _ => "",
        };
        return new StorageException(ToKind(errno), $"{text} (errno {errno}){advice}", path, offset, operation);
    }
}

namespace Godwit.Worker.Sandbox;

/// <summary>Landlock's rights over files and folders (LANDLOCK_ACCESS_FS_*), and what each kind of place gets of them.</summary>
internal static class FolderRights
{
    internal const ulong Execute = 1 << 0, WriteFile = 1 << 1, ReadFile = 1 << 2, ReadFolder = 1 << 3, RemoveFolder = 1 << 4,
        RemoveFile = 1 << 5, MakeCharacterDevice = 1 << 6, MakeFolder = 1 << 7, MakeFile = 1 << 8, MakeSocket = 1 << 9, MakePipe = 1 << 10,
        MakeBlockDevice = 1 << 11, MakeLink = 1 << 12, Refer = 1 << 13, Truncate = 1 << 14, DeviceControl = 1 << 15;

    /// <summary>Libraries, the program, the kernel's own files.</summary>
    internal const ulong Reading = ReadFile | ReadFolder | Execute;

    /// <summary>Disks and everything beside them. Which device requests are allowed is the system call filter's to say.</summary>
    internal const ulong Disks = ReadFile | ReadFolder | WriteFile | RemoveFolder | RemoveFile | MakeFolder | MakeFile | Refer | Truncate | DeviceControl;

    /// <summary>What a single file can be given.</summary>
    internal const ulong OfFiles = Execute | WriteFile | ReadFile | Truncate | DeviceControl;

    /// <summary>What no disk needs anywhere, refused even when disks may be everywhere.</summary>
    internal const ulong NeverNeeded = Execute | MakeCharacterDevice | MakeBlockDevice | MakePipe | MakeLink | MakeSocket;

    /// <summary>Every right a version of landlock knows.</summary>
    internal static ulong Known(int version) => version switch
    {
        <= 1 => Refer - 1,
        2 => Truncate - 1,
        3 or 4 => DeviceControl - 1,
        _ => (DeviceControl << 1) - 1,
    };
}

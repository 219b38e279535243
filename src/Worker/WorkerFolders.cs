using Godwit.Api;
using Godwit.Worker.Interop;

namespace Godwit.Worker;

/// <summary>The files of one VM's worker.</summary>
/// <param name="config">The VM's folder: configuration, bitmaps, log. Survives a reboot.</param>
/// <param name="run">The folder of the sockets. Need not survive a reboot.</param>
internal sealed class WorkerFolders(string config, string run)
{
    /// <summary>The VM's folder, absolute.</summary>
    internal string Config { get; } = Path.GetFullPath(config);

    /// <summary>The sockets' folder, absolute.</summary>
    internal string Run { get; } = Path.GetFullPath(run);

    internal string ConfigFile => Path.Combine(Config, "worker.json");

    /// <summary>Where parents of differencing disks may be; the host's.</summary>
    internal string ParentFoldersFile => Path.Combine(Config, "folders.json");

    internal string Log => Path.Combine(Config, "worker.log");

    /// <summary>Held by the one supervisor of the folder.</summary>
    internal string SupervisorLock => Path.Combine(Config, "supervisor.lock");

    /// <summary>Held by the one worker of the folder.</summary>
    internal string WorkerLock => Path.Combine(Config, "worker.lock");

    internal string NbdSocket => Path.Combine(Run, "nbd.sock");

    internal string ControlSocket => Path.Combine(Run, "control.sock");

    /// <summary>The dirty bitmap of a disk.</summary>
    internal string Bitmap(string disk) => Path.Combine(Config, disk + ".bitmap");

    /// <summary>What a remote target of a disk's mirror may forget.</summary>
    internal string Unflushed(string disk) => Path.Combine(Config, disk + ".unflushed");

    /// <summary>Certificate, key and authorities for disks on other hosts; the host's.</summary>
    internal string Tls => Path.Combine(Config, "tls");

    /// <summary>What has changed on a disk since a point.</summary>
    internal string Changes(string disk, Guid point) => Path.Combine(Config, $"{disk}.{point:N}.changes");

    /// <summary>Checks the configuration folder and makes the sockets' folder, for the owner only.</summary>
    /// <exception cref="GodwitException">There is nothing to serve, or the folder is open to others.</exception>
    internal void Prepare()
    {
        if (!File.Exists(ConfigFile))
            throw new GodwitException(ErrorCode.NotFound, $"{ConfigFile} does not exist", "write the worker's configuration there first");
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var folder = Directory.CreateDirectory(Run, owner);
        // A folder like /tmp is not ours to close.
        if ((folder.UnixFileMode & UnixFileMode.StickyBit) != 0)
            throw new GodwitException(ErrorCode.AccessDenied, $"{Run} is shared with others", "give --run a folder of its own");
        if (folder.UnixFileMode != owner && LibC.ChangeMode(Run, 0b111_000_000) != 0)
            throw Errno.Exception($"make {Run} private", "give --run a folder of its own");
    }
}

namespace Godwit.Host;

/// <summary>Where the host keeps things. Folders are for their owner only.</summary>
/// <param name="state">What survives a reboot.</param>
/// <param name="run">Sockets and whatever need not survive.</param>
internal sealed class HostFolders(string state, string run)
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    public string State => state;

    public string Run => run;

    public string Database => Path.Combine(state, "godwit.db");

    public string LockFile => Path.Combine(state, "godwitd.lock");

    /// <summary>The authority this host has set up, with its key.</summary>
    public string Authority => Path.Combine(state, "authority");

    /// <summary>The host's own certificate and key.</summary>
    public string Certificates => Path.Combine(state, "tls");

    public string Accelerator => Path.Combine(state, "accelerator.json");

    public string Socket => Path.Combine(run, "godwitd.sock");

    /// <summary>The VM's lasting files: worker.json, bitmaps, logs.</summary>
    public string StateOf(Guid vm) => Path.Combine(state, "vms", vm.ToString("D"));

    /// <summary>The VM's sockets; short, because their paths must be.</summary>
    public string RunOf(Guid vm) => Path.Combine(run, vm.ToString("N")[..8]);

    /// <summary>Makes both folders, private.</summary>
    public void Prepare()
    {
        Private(state);
        Private(run);
        Private(Path.Combine(state, "vms"));
    }

    /// <summary>Makes the VM's folders, private.</summary>
    public void Prepare(Guid vm)
    {
        Private(StateOf(vm));
        Private(RunOf(vm));
    }

    private static void Private(string folder)
    {
        Directory.CreateDirectory(folder, Owner);
        // One that was there before may be open to others, and the sockets in it with it.
        File.SetUnixFileMode(folder, Owner);
    }
}

using System.Net;
using Godwit.Api;

namespace Godwit.Host;

/// <summary>What the command line asks for.</summary>
internal sealed record DaemonOptions
{
    internal const string Usage = """
        godwitd: runs virtual machines and moves their disks while they run.

          --state DIR            database and one folder per VM (default /var/lib/godwit)
          --run DIR              sockets (default /run/godwit)
          --listen ADDRESS:PORT  also serve the network, over TLS 1.3 only; run "godwit host init" before
          --machines DIR         where a folder is made for each VM's configuration and saved state (default STATE-machines)
          --allow-root DIR       disks may only be here or in --machines (repeatable; default: anywhere but system folders)
          --worker PATH          the godwit-worker program (default: beside godwitd)
          --qemu PATH            the QEMU program (default /usr/bin/qemu-system-x86_64)
          --firmware DIR         where OVMF_CODE_4M.fd and OVMF_VARS_4M.fd are, for VMs of generation 2 (default /usr/share/OVMF)
          --storage-moves N      storage moves that run at the same time (default 2)
          --log text|json        how to log (default text)

        Example: godwitd --listen 0.0.0.0:7080 --allow-root /srv/vms
        """;

    // <run>/<8 hex>/control.sock must fit into a unix socket address of 107 bytes.
    private const int MaximumRunPath = 107 - 9 - 13;

    public string State { get; init; } = "/var/lib/godwit";

    public string Run { get; init; } = "/run/godwit";

    public string Machines
    {
        get => field ?? State + "-machines";
        init;
    }

    public IPEndPoint? Listen { get; init; }

    public IReadOnlyList<string> AllowedRoots { get; init; } = [];

    public string Worker { get; init; } = Path.Combine(AppContext.BaseDirectory, "godwit-worker");

    public string Qemu { get; init; } = "/usr/bin/qemu-system-x86_64";

    public string Firmware { get; init; } = Godwit.Qemu.Launch.UefiFirmware.DefaultFolder;

    public int StorageMoves { get; init; } = 2;

    /// <summary>Not on the command line: generous enough for everybody.</summary>
    public Http.RequestRates Rates { get; init; } = Http.RequestRates.Default;

    public bool JsonLog { get; init; }

    public bool Help { get; init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: it makes no sense.</exception>
    public static DaemonOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new DaemonOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] is "--help" or "-h")
            {
                return options with { Help = true };
            }
            var name = arguments[i];
            var value = ++i < arguments.Count ? arguments[i] : throw Wrong($"{name} has no value");
            options = options.With(name, value);
        }
        return System.Text.Encoding.UTF8.GetByteCount(options.Run) <= MaximumRunPath ? options : throw Wrong(
            $"--run '{options.Run}' is too long: sockets below it would not fit into an address (at most {MaximumRunPath} bytes)");
    }

    private DaemonOptions With(string name, string value) => name switch
    {
        "--state" => this with { State = Folder(name, value) },
        "--machines" => this with { Machines = Folder(name, value) },
        "--run" => this with { Run = Folder(name, value) },
        "--listen" => this with { Listen = Endpoint(value) },
        "--allow-root" => this with { AllowedRoots = [.. AllowedRoots, Folder(name, value)] },
        "--worker" => this with { Worker = Folder(name, value) },
        "--qemu" => this with { Qemu = Folder(name, value) },
        "--firmware" => this with { Firmware = Folder(name, value) },
        "--storage-moves" => this with { StorageMoves = Count(value) },
        "--log" => this with { JsonLog = value == "json" || (value == "text" ? false : throw Wrong("--log is text or json")) },
        _ => throw Wrong($"unknown option '{name}'"),
    };

    private static string Folder(string name, string value) =>
        value.Length > 0 ? Path.GetFullPath(value) : throw Wrong($"{name} is empty");

    private static int Count(string value) =>
        int.TryParse(value, out var count) && count is > 0 and <= 100 ? count : throw Wrong("--storage-moves is 1 to 100");

    private static IPEndPoint Endpoint(string value)
    {
        // Without the colon "127.0.0.1" would be an endpoint too, of port 0.
        return IPEndPoint.TryParse(value, out var address) && value.Contains(':', StringComparison.Ordinal)
            ? address
            : throw Wrong($"--listen '{value}' is not ADDRESS:PORT");
    }

    private static GodwitException Wrong(string title) => new(ErrorCode.InvalidRequest, title, "See 'godwitd --help'.");
}

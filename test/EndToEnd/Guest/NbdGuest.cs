using System.Diagnostics;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;
using Godwit.Testing;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.EndToEnd.Guest;

/// <summary>What it takes to run one guest on a disk served by qemu-nbd: everything of Godwit.Qemu without the rest of Godwit.</summary>
internal sealed class NbdGuest : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly List<QemuProcess> _started = [];
    private Process? _server;

    private NbdGuest(QemuConfiguration configuration, GuestLog log)
    {
        Configuration = configuration;
        Log = log;
    }

    public QemuConfiguration Configuration { get; private set; }

    public GuestLog Log { get; private set; }

    public string Disk => _folder.File("disk.raw");

    public QemuLauncher Launcher { get; } = new(TimeProvider.System);

    /// <summary>Prepares disk, server and configuration; nothing of QEMU runs yet.</summary>
    public static async Task<NbdGuest> PrepareAsync(string settings, CancellationToken ct, int reconnectSeconds = 30)
    {
        var guest = new NbdGuest(null!, null!);
        var image = await GuestImage.BuildAsync(guest._folder.Path, ct);
        await using (var disk = File.Create(guest.Disk))
            disk.SetLength(1L << 30);
        var id = Guid.NewGuid();
        guest.Configuration = new QemuConfiguration("guest, of a test", id, 192L << 20, 1, QemuFiles.In(guest._folder.Path, guest._folder.Path))
        {
            Kernel = image.Kernel,
            Initrd = image.Initrd,
            Append = GuestImage.Append(settings),
            SerialLog = guest._folder.File("serial,0.log"),
            Disks = [new QemuDisk("disk0", guest._folder.File("nbd.sock"), "disk0") { ReconnectSeconds = reconnectSeconds, Serial = "test" }],
        };
        guest.Log = new GuestLog(guest.Configuration.SerialLog);
        guest.StartServer();
        return guest;
    }

    public async Task<QemuProcess> StartAsync(CancellationToken ct)
    {
        var process = await Launcher.StartAsync(Configuration, ct);
        _started.Add(process);
        return process;
    }

    public void Change(Func<QemuConfiguration, QemuConfiguration> change) => Configuration = change(Configuration);

    public void StartServer() => _server = ChildProgram.Start(
        "qemu-nbd",
        ["--format=raw", "--socket", _folder.File("nbd.sock"), "--export-name", "disk0", "--persistent", "--shared=0", "--cache=writeback", Disk],
        null, redirect: true);

    /// <summary>Kills the server with SIGKILL.</summary>
    public async Task KillServerAsync(CancellationToken ct)
    {
        if (_server is null)
            return;
        _server.Kill();
        await _server.WaitForExitAsync(ct);
        _server.Dispose();
        _server = null;
        File.Delete(_folder.File("nbd.sock"));
    }

    /// <summary>The guest is being told that its writes are done, now.</summary>
    public Task GoesOnWritingAsync(CancellationToken ct) => Log.WaitForAcknowledgedAsync(Log.AcknowledgedCount + 50, TimeSpan.FromSeconds(20), ct);

    public static async Task WaitForAsync(QemuProcess process, QemuRunState state, TimeSpan limit, CancellationToken ct)
    {
        using var bounded = CancellationTokenSource.CreateLinkedTokenSource(ct);
        bounded.CancelAfter(limit);
        for (var seen = process.State; seen.Run != state;)
            seen = await process.WaitForChangeAsync(seen, bounded.Token);
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        if (await Launcher.AdoptAsync(Configuration.Uuid, Configuration.Files, limit.Token) is { } left)
        {
            await left.TurnOffAsync(limit.Token);
            await left.DisposeAsync();
        }

        foreach (var process in _started)
            await process.DisposeAsync();
        Log.Dispose();
        await KillServerAsync(limit.Token);
        _folder.Dispose();
    }
}

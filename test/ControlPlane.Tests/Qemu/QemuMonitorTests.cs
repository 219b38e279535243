using System.Net.Sockets;
using Godwit.Qemu;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;
using Godwit.Testing;
using Godwit.Testing.Qemu;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

/// <summary>The watch over one QEMU, against a monitor played by the test. This process stands in for QEMU's.</summary>
public sealed class QemuMonitorTests : IDisposable
{
    private const int Limit = 30_000;
    private static readonly Guid Id = Guid.NewGuid();

    private readonly TempFolder _folder = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly OwnedProcess _process = OwnedProcess.Find(Environment.ProcessId, [])!;
    private readonly QemuFiles _files;

    public QemuMonitorTests()
    {
        _files = QemuFiles.In(_folder.Path, _folder.Path);
        _listener.Bind(new UnixDomainSocketEndPoint(_files.Monitor));
        _listener.Listen();
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _listener.Dispose();
        _process.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = Limit)]
    public async Task The_monitor_of_another_VM_is_not_taken_over()
    {
        var monitor = new QemuMonitor(_process, _files, Id, TimeProvider.System);
        var connecting = monitor.ConnectAsync(Token);
        using var qemu = await AcceptAsync();
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), $$"""{"UUID": "{{Guid.Empty}}"}""");
        Assert.Equal(QemuErrorKind.NotOurs, (await Assert.ThrowsAsync<QemuException>(() => connecting)).Kind);
    }

    [Fact(Timeout = Limit)]
    public async Task A_guest_paused_by_a_disk_is_let_go_on_again_and_again_until_it_works()
    {
        var monitor = new QemuMonitor(_process, _files, Id, TimeProvider.System);
        using var qemu = await ConnectAsync(monitor, "running");
        using var stop = new CancellationTokenSource();
        var watch = monitor.WatchAsync(stop.Token);
        await qemu.RaiseAsync("BLOCK_IO_ERROR", """{"node-name": "disk0", "operation": "write", "action": "stop", "nospace": true, "reason": "x"}""");
        await qemu.RaiseAsync("STOP", "{}");
        var tries = 0;
        while (monitor.State.Current.Run != QemuRunState.Running || tries < 3)
        {
            var command = await qemu.ReceiveAsync(Token);
            tries += command.Name == "cont" ? 1 : 0;
            var running = tries >= 3;
            await qemu.ReturnAsync(command, command.Name == "cont" ? "{}" : Status(running ? "running" : "io-error"));
            if (!running)
                continue;
            await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), Status("running"));
            await monitor.State.WaitForChangeAsync(new QemuState(QemuRunState.WaitingForDisk, "disk0: write: there is no room left"), Token);
        }

        Assert.Equal(new QemuState(QemuRunState.Running), monitor.State.Current);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }

    [Fact(Timeout = Limit)]
    public async Task A_guest_that_somebody_wants_paused_is_not_let_go_on_when_its_disk_fails()
    {
        var monitor = new QemuMonitor(_process, _files, Id, TimeProvider.System) { PauseWanted = true };
        using var qemu = await ConnectAsync(monitor, "io-error");
        using var stop = new CancellationTokenSource();
        var watch = monitor.WatchAsync(stop.Token);
        for (var i = 0; i < 2; i++)
        {
            var command = await qemu.ReceiveAsync(Token);
            Assert.Equal("query-status", command.Name);
            await qemu.ReturnAsync(command, Status("io-error"));
        }

        Assert.Equal(QemuRunState.WaitingForDisk, monitor.State.Current.Run);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }

    [Fact(Timeout = Limit)]
    public async Task A_broken_connection_is_made_anew_while_the_process_lives()
    {
        var monitor = new QemuMonitor(_process, _files, Id, TimeProvider.System);
        var first = await ConnectAsync(monitor, "running");
        using var stop = new CancellationTokenSource();
        var watch = monitor.WatchAsync(stop.Token);
        await first.SendLineAsync("garbage");
        using var second = await AcceptAsync();
        await second.ReturnAsync(await second.ReceiveAsync(Token), $$"""{"UUID": "{{Id}}"}""");
        await second.ReturnAsync(await second.ReceiveAsync(Token), Status("paused"));
        await monitor.State.WaitForChangeAsync(new QemuState(QemuRunState.Running), Token);
        Assert.Equal(QemuRunState.Paused, monitor.State.Current.Run);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
        first.Dispose();
    }

    private static string Status(string status) => $$"""{"status": "{{status}}", "running": {{(status == "running" ? "true" : "false")}}}""";

    private async Task<ScriptedQmp> ConnectAsync(QemuMonitor monitor, string status)
    {
        var connecting = monitor.ConnectAsync(Token);
        var qemu = await AcceptAsync();
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), $$"""{"UUID": "{{Id}}"}""");
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), Status(status));
        await connecting;
        return qemu;
    }

    private async Task<ScriptedQmp> AcceptAsync()
    {
        var qemu = new ScriptedQmp(new NetworkStream(await _listener.AcceptAsync(Token), ownsSocket: true));
        await qemu.GreetAsync(Token);
        return qemu;
    }
}

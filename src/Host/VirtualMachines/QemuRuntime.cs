using System.Collections.Concurrent;
using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Qemu;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;

namespace Godwit.Host.VirtualMachines;

/// <summary>VMs as QEMU processes of this computer. They outlive godwitd and are adopted by the next one.</summary>
internal sealed class QemuRuntime(HostFolders folders, QemuAccelerators accelerators, string binary, TimeProvider time)
    : IVirtualMachineRuntime, IAsyncDisposable
{
    private readonly QemuLauncher _launcher = new(time);
    private readonly ConcurrentDictionary<Guid, Entry> _entries = new();

    public async Task<RuntimeStatus> ObserveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var entry = _entries.GetOrAdd(vm.Id, _ => new Entry());
        if (entry.Process is null or { State.Run: QemuRunState.Ended })
        {
            // One at a time: QEMU's monitor takes one client, and a start uses it.
            if (!await entry.Gate.WaitAsync(TimeSpan.Zero, cancellationToken))
            {
                return new RuntimeStatus(VirtualMachineState.Starting);
            }
            try
            {
                await AdoptAsync(vm, entry, cancellationToken);
            }
            catch (QemuException e)
            {
                return new RuntimeStatus(VirtualMachineState.Off, e.Message);
            }
            finally
            {
                entry.Gate.Release();
            }
        }
        return entry.Process is { } process ? await StatusAsync(process, cancellationToken) : new RuntimeStatus(VirtualMachineState.Off);
    }

    public async Task StartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var entry = _entries.GetOrAdd(vm.Id, _ => new Entry());
        await entry.Gate.WaitAsync(cancellationToken);
        try
        {
            folders.Prepare(vm.Id);
            var choice = await accelerators.ChooseAsync(cancellationToken);
            entry.Process = await _launcher.StartAsync(Configuration(vm) with { Accelerator = choice.Kind }, cancellationToken);
        }
        catch (QemuException e)
        {
            throw Translate(e);
        }
        finally
        {
            entry.Gate.Release();
        }
    }

    public async Task ShutDownAsync(VirtualMachineRecord vm, TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            if (await FindAsync(vm, cancellationToken) is { } process)
            {
                await process.StopAsync(limit, cancellationToken);
            }
        }
        catch (QemuException e) when (e.Kind != QemuErrorKind.Ended)
        {
            throw Translate(e);
        }
    }

    public async Task TurnOffAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        try
        {
            if (await FindAsync(vm, cancellationToken) is { } process)
            {
                await process.TurnOffAsync(cancellationToken);
            }
        }
        catch (QemuException e) when (e.Kind != QemuErrorKind.Ended)
        {
            throw Translate(e);
        }
    }

    public Task ForgetAsync(Guid vm, CancellationToken cancellationToken)
    {
        _entries.TryRemove(vm, out _);
        foreach (var folder in (string[])[folders.RunOf(vm), folders.StateOf(vm)])
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
        return Task.CompletedTask;
    }

    /// <summary>Lets go of every QEMU; they run on.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var entry in _entries.Values)
        {
            if (entry.Process is { } process)
            {
                await process.DisposeAsync();
            }
        }
    }

    internal static GodwitException Translate(QemuException e) => new(new Problem(Code(e.Kind), e.Message), e);

    internal static ErrorCode Code(QemuErrorKind kind) => kind switch
    {
        QemuErrorKind.NotInstalled or QemuErrorKind.TooOld => ErrorCode.Unsupported,
        QemuErrorKind.InvalidConfiguration => ErrorCode.InvalidRequest,
        QemuErrorKind.StartFailed => ErrorCode.Unavailable,
        QemuErrorKind.TimedOut => ErrorCode.Unavailable,
        QemuErrorKind.Ended => ErrorCode.WrongState,
        QemuErrorKind.NotOurs => ErrorCode.Busy,
        QemuErrorKind.WrongState => ErrorCode.WrongState,
        _ => ErrorCode.Internal,
    };

    private async Task<QemuProcess?> FindAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        await ObserveAsync(vm, cancellationToken);
        return _entries.TryGetValue(vm.Id, out var entry) ? entry.Process : null;
    }

    private async Task AdoptAsync(VirtualMachineRecord vm, Entry entry, CancellationToken cancellationToken)
    {
        if (entry.Process is { State.Run: QemuRunState.Ended } ended)
        {
            entry.Process = null;
            await ended.DisposeAsync();
        }
        entry.Process ??= await _launcher.AdoptAsync(vm.Id, FilesOf(vm.Id), cancellationToken);
    }

    private async Task<RuntimeStatus> StatusAsync(QemuProcess process, CancellationToken cancellationToken)
    {
        var choice = await accelerators.ChooseAsync(cancellationToken);
        var seen = process.State;
        return seen.Run == QemuRunState.Ended
            ? new RuntimeStatus(VirtualMachineState.Off)
            : new RuntimeStatus(
                StateOf(seen.Run), seen.Reason, QemuAccelerators.Word(choice.Kind), choice.Reason, process.ProcessId);
    }

    private static VirtualMachineState StateOf(QemuRunState state) => state switch
    {
        QemuRunState.Running => VirtualMachineState.Running,
        QemuRunState.Paused => VirtualMachineState.Paused,
        // A monitor that is mute hangs on a disk: the guest waits too.
        QemuRunState.WaitingForDisk or QemuRunState.Unresponsive => VirtualMachineState.PausedCritical,
        QemuRunState.Ending => VirtualMachineState.Stopping,
        _ => VirtualMachineState.Off,
    };

    private QemuFiles FilesOf(Guid vm) => QemuFiles.In(folders.RunOf(vm), folders.StateOf(vm));

    private QemuConfiguration Configuration(VirtualMachineRecord vm) => new(vm.Name, vm.Id, vm.Memory, vm.Cpus, FilesOf(vm.Id))
    {
        Binary = binary,
        Kernel = vm.Kernel,
        Initrd = vm.Initrd,
        Append = vm.Append,
        SerialLog = vm.Serial,
        Disks = [.. vm.Disks.Select(disk => new QemuDisk(
            disk.Name, Path.Combine(folders.RunOf(vm.Id), "nbd.sock"), disk.Name) { Serial = disk.Name })],
    };

    private sealed class Entry
    {
        public SemaphoreSlim Gate { get; } = new(1, 1);

        public QemuProcess? Process { get; set; }
    }
}

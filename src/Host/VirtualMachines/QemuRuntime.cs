using System.Collections.Concurrent;
using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Qemu;
using Godwit.Qemu.Accelerators;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;

namespace Godwit.Host.VirtualMachines;

/// <summary>VMs as QEMU processes of this computer. They outlive godwitd and are adopted by the next one.</summary>
internal sealed partial class QemuRuntime(HostFolders folders, QemuAccelerators accelerators, string binary, string firmware, TimeProvider time)
    : IVirtualMachineRuntime, IAsyncDisposable
{
    private readonly QemuLauncher _launcher = new(time);
    private readonly ConcurrentDictionary<Guid, QemuProcess> _processes = new();
    private readonly VirtualMachineGates _gates = new();

    public async Task<RuntimeStatus> ObserveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (!_processes.TryGetValue(vm.Id, out var known) || known.State.Run == QemuRunState.Ended)
        {
            // One at a time: QEMU's monitor takes one client, and a start uses it.
            using var passage = _gates.TryEnter(vm.Id);
            if (passage is null)
            {
                return new RuntimeStatus(VirtualMachineState.Starting);
            }
            try
            {
                await AdoptAsync(vm.Id, cancellationToken);
            }
            catch (QemuException e)
            {
                return new RuntimeStatus(VirtualMachineState.Off, e.Message);
            }
        }
        return _processes.TryGetValue(vm.Id, out var process)
            ? await StatusAsync(process, cancellationToken)
            : new RuntimeStatus(VirtualMachineState.Off);
    }

    public async Task StartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        using var passage = await _gates.EnterAsync(vm.Id, cancellationToken);
        try
        {
            folders.Prepare(vm.Id);
            var choice = await accelerators.ChooseAsync(cancellationToken);
            _processes[vm.Id] = await _launcher.StartAsync(Configuration(vm) with { Accelerator = choice.Kind }, cancellationToken);
        }
        catch (QemuException e)
        {
            throw Translate(e);
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
        _processes.TryRemove(vm, out _);
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
        foreach (var process in _processes.Values)
        {
            await process.DisposeAsync();
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
        return _processes.GetValueOrDefault(vm.Id);
    }

    private async Task AdoptAsync(Guid vm, CancellationToken cancellationToken)
    {
        if (_processes.TryGetValue(vm, out var ended) && ended.State.Run == QemuRunState.Ended)
        {
            _processes.TryRemove(vm, out _);
            await ended.DisposeAsync();
        }
        if (!_processes.ContainsKey(vm) && await _launcher.AdoptAsync(vm, FilesOf(vm), cancellationToken) is { } found)
        {
            _processes[vm] = found;
        }
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

    private static string? CpuOf(VirtualMachineRecord vm) => vm.Settings.CompatibilityForMigration ? CpuModels.Compatible : null;

    private QemuConfiguration Configuration(VirtualMachineRecord vm) => new(vm.Name, vm.Id, vm.Settings.Memory, vm.Settings.Cpus, FilesOf(vm.Id))
    {
        Binary = binary,
        Cpu = CpuOf(vm),
        Kernel = vm.Settings.Kernel,
        Initrd = vm.Settings.Initrd,
        Append = vm.Settings.Append,
        SerialLog = vm.Settings.Serial,
        Networks = [.. (vm.Settings.Networks ?? []).Select((adapter, i) => new QemuNetwork($"net{i}", adapter.MacAddress!))],
        Firmware = FirmwareOf(vm),
        ScsiControllers = vm.ScsiControllers,
        Disks = DisksOf(vm),
        Dvds = DvdsOf(vm),
        BootOrder = vm.Settings.BootOrder ?? [],
    };
}

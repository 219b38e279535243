using Godwit.Api;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Qemu;
using Godwit.Qemu.Accelerators;
using Godwit.Qemu.Processes;
using Godwit.Qemu.Qmp;

namespace Godwit.Host.VirtualMachines;

/// <summary>Pausing, saving and restoring.</summary>
internal sealed partial class QemuRuntime
{
    private const string MachineSuffix = "-machine";

    public Task PauseAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) =>
        CommandAsync(vm, qemu => qemu.PauseAsync(cancellationToken), cancellationToken);

    public Task ResumeAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) =>
        CommandAsync(vm, qemu => qemu.ResumeAsync(cancellationToken), cancellationToken);

    public Task ResetAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) =>
        CommandAsync(vm, qemu => qemu.ResetAsync(cancellationToken), cancellationToken);

    public async Task<MachineModel> BeginSaveAsync(VirtualMachineRecord vm, string file, CancellationToken cancellationToken)
    {
        var choice = await accelerators.ChooseAsync(cancellationToken);
        return await CommandAsync(
            vm,
            async qemu =>
            {
                var model = new MachineModel(
                    Trim(await qemu.Monitor.GetMachinePropertyAsync("type", cancellationToken)),
                    CpuOf(vm) ?? CpuModels.For(choice.Kind),
                    QemuAccelerators.Word(choice.Kind));
                var seen = await SavedMemory.QueryAsync(qemu, cancellationToken);
                if (seen.State != MemoryTransferState.Active && !await SavedMemory.HasGivenAwayAsync(qemu, cancellationToken))
                {
                    await SavedMemory.BeginSaveAsync(qemu, file, cancellationToken);
                }
                return model;
            },
            cancellationToken);
    }

    public Task<SaveProgress> QuerySaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) => CommandAsync(
        vm,
        async qemu =>
        {
            var seen = await SavedMemory.QueryAsync(qemu, cancellationToken);
            var problem = seen.State is MemoryTransferState.Failed or MemoryTransferState.None ? seen.Problem ?? "QEMU gave it up" : null;
            return new SaveProgress(seen.State == MemoryTransferState.Completed, problem, seen.Done, seen.Total);
        },
        cancellationToken);

    public async Task CancelSaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        try
        {
            await CommandAsync(vm, qemu => SavedMemory.TakeBackAsync(qemu, time, cancellationToken), cancellationToken);
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.WrongState)
        {
            // It has ended, and the saving with it.
        }
    }

    public async Task RestoreAsync(VirtualMachineRecord vm, SavedStateRecord saved, CancellationToken cancellationToken)
    {
        var kind = saved.Model.Accelerator == QemuAccelerators.Word(AcceleratorKind.Kvm) ? AcceleratorKind.Kvm : AcceleratorKind.Tcg;
        var choice = await accelerators.ChooseAsync(cancellationToken);
        if (kind == AcceleratorKind.Kvm && choice.Kind != kind)
        {
            throw new GodwitException(
                ErrorCode.Unsupported, $"VM '{vm.Name}' was saved while KVM ran it, which this host cannot: {choice.Reason}",
                "Restore it on a host with KVM, or let it boot anew: 'godwit vm discard-saved-state'.");
        }
        using var passage = await _gates.EnterAsync(vm.Id, cancellationToken);
        QemuProcess? started = null;
        try
        {
            folders.Prepare(vm.Id);
            var configuration = Configuration(vm) with
            {
                Accelerator = kind,
                Machine = saved.Model.Machine,
                Cpu = saved.Model.Cpu,
                Incoming = true,
            };
            started = await _launcher.StartAsync(configuration, cancellationToken);
            await SavedMemory.LoadAsync(started, saved.File, time, cancellationToken);
            _processes[vm.Id] = started;
        }
        catch (Exception e)
        {
            if (started is not null)
            {
                await started.TurnOffAsync(CancellationToken.None);
                await started.DisposeAsync();
            }
            if (e is QemuException refused)
            {
                throw Translate(refused);
            }
            throw;
        }
    }

    // "pc-q35-10.0-machine" is what QEMU calls the kind of the object; -machine wants it without the end.
    private static string Trim(string type) => type.EndsWith(MachineSuffix, StringComparison.Ordinal) ? type[..^MachineSuffix.Length] : type;

    private Task<int> CommandAsync(VirtualMachineRecord vm, Func<QemuProcess, Task> command, CancellationToken cancellationToken) => CommandAsync(
        vm,
        async qemu =>
        {
            await command(qemu);
            return 0;
        },
        cancellationToken);

    private async Task<T> CommandAsync<T>(VirtualMachineRecord vm, Func<QemuProcess, Task<T>> command, CancellationToken cancellationToken)
    {
        var qemu = await FindAsync(vm, cancellationToken)
            ?? throw new GodwitException(ErrorCode.WrongState, $"VM '{vm.Name}' does not run.");
        try
        {
            return await command(qemu);
        }
        catch (QemuException e)
        {
            throw Translate(e);
        }
        catch (QmpException e)
        {
            throw new GodwitException(new Problem(ErrorCode.WrongState, $"QEMU of VM '{vm.Name}' refuses: {e.Message}"), e);
        }
        catch (QmpConnectionException e)
        {
            throw new GodwitException(new Problem(ErrorCode.Unavailable, $"QEMU of VM '{vm.Name}' does not answer: {e.Message}"), e);
        }
    }
}

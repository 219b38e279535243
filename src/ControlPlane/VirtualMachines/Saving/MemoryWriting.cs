using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Writes memory and devices of a VM into a file, as part of a job: its vCPUs stand still from then on until they are let go.</summary>
/// <param name="parts">What VMs are made of.</param>
internal sealed class MemoryWriting(VirtualMachineParts parts)
{
    private const string RunningFact = "running";
    private const string MachineFact = "machine";
    private const string CpuFact = "cpu";
    private const string AcceleratorFact = "accelerator";
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether the vCPUs ran before; journalled before they are stopped.</summary>
    public static bool WasRunning(JobContext context) => context.GetFact(RunningFact) == "true";

    /// <summary>Journals whether the vCPUs run.</summary>
    public static void NoteRunning(JobContext context, RuntimeStatus status) =>
        context.SetFact(RunningFact, status.State == VirtualMachineState.Running ? "true" : "false");

    /// <summary>What was written, for the record.</summary>
    public static SavedStateRecord Describe(JobContext context, VirtualMachineRecord vm, string file) => new(
        file, context.Time.GetUtcNow(), WasRunning(context),
        new MachineModel(context.GetFact(MachineFact)!, context.GetFact(CpuFact)!, context.GetFact(AcceleratorFact)!), vm.Settings.Memory, vm.Settings.Cpus);

    /// <summary>Throws when there may be no room for the memory.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NoSpace"/>.</exception>
    public static void RequireSpace(VirtualMachineParts parts, VirtualMachineRecord vm)
    {
        // What the guest never touched takes no room, but nobody knows that before.
        var free = parts.Folders.AvailableBytes(vm.Path);
        if (free < vm.Settings.Memory)
        {
            throw new GodwitException(
                ErrorCode.NoSpace, $"'{vm.Path}' has {free >> 20} MiB free; saving may need {vm.Settings.Memory >> 20} MiB.", "Free space there.");
        }
    }

    /// <summary>Stops the vCPUs and writes; returns when the file is whole and would outlast a power cut.</summary>
    public async Task WriteAsync(JobContext context, VirtualMachineRecord vm, string file, string phase, CancellationToken cancellationToken)
    {
        parts.Folders.Create(Path.GetDirectoryName(file)!);
        var model = await parts.Runtime.BeginSaveAsync(vm, file, cancellationToken).ConfigureAwait(false);
        context.SetFact(MachineFact, model.Machine);
        context.SetFact(CpuFact, model.Cpu);
        context.SetFact(AcceleratorFact, model.Accelerator);
        while (await parts.Runtime.QuerySaveAsync(vm, cancellationToken).ConfigureAwait(false) is { IsDone: false } seen)
        {
            if (seen.Problem is { } problem)
            {
                throw Failed(file, problem);
            }
            context.Report(phase, (seen.Done, seen.Total), (seen.Done, seen.Total), (2, 90));
            await Task.Delay(PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
        }
        // What the VM goes on from must outlast a power cut from the moment the record says so.
        await parts.Folders.SyncFileAsync(file, cancellationToken).ConfigureAwait(false);
        context.Report(phase, (vm.Settings.Memory, vm.Settings.Memory), (1, 1), (2, 97));
    }

    /// <summary>Takes a writing back: the file goes, and the guest goes on as before.</summary>
    public async Task TakeBackAsync(JobContext context, VirtualMachineRecord vm, string file, CancellationToken cancellationToken)
    {
        // QEMU writes no more when this returns.
        await parts.Runtime.CancelSaveAsync(vm, cancellationToken).ConfigureAwait(false);
        parts.Folders.DeleteFile(file);
        await LetGoAsync(context, vm, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Lets the guest go on as before; fine when there was no writing, or there is no guest any more.</summary>
    public async Task LetGoAsync(JobContext context, VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        await parts.Runtime.CancelSaveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (WasRunning(context) && !(await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false)).IsOff)
        {
            // Whatever it was seen doing: what is seen lags behind what QEMU was just told, and letting run what runs changes nothing.
            await parts.Runtime.ResumeAsync(vm, cancellationToken).ConfigureAwait(false);
        }
    }

    private static GodwitException Failed(string file, string problem) =>
        problem.Contains("No space left", StringComparison.Ordinal)
            ? new GodwitException(ErrorCode.NoSpace, $"'{file}' could not be written: its file system is full.", "Free space there; the VM goes on.")
            : new GodwitException(ErrorCode.IoFailed, $"'{file}' could not be written: {problem}", "The VM goes on.");
}

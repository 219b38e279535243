using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Saving;

/// <summary>Stops the vCPUs and writes memory and devices; taken back, the guest goes on as if nothing had been.</summary>
internal sealed class WriteMemoryStep(Saving saving) : IJobStep
{
    internal const string MachineFact = "machine";
    internal const string CpuFact = "cpu";
    internal const string AcceleratorFact = "accelerator";
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    public string Name => "Write the memory";

    public string Phase => Saving.Transfer;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var (vm, runtime) = (saving.Vm, saving.Parts.Runtime);
        var file = saving.FileOf(context.JobId);
        saving.Parts.Folders.Create(Path.GetDirectoryName(file)!);
        var model = await runtime.BeginSaveAsync(vm, file, cancellationToken).ConfigureAwait(false);
        context.SetFact(MachineFact, model.Machine);
        context.SetFact(CpuFact, model.Cpu);
        context.SetFact(AcceleratorFact, model.Accelerator);
        while (await runtime.QuerySaveAsync(vm, cancellationToken).ConfigureAwait(false) is { IsDone: false } seen)
        {
            if (seen.Problem is { } problem)
            {
                throw Failed(file, problem);
            }
            context.Report(Phase, (seen.Done, seen.Total), (seen.Done, seen.Total), (2, 90));
            await Task.Delay(PollInterval, context.Time, cancellationToken).ConfigureAwait(false);
        }
        // What the VM goes on from must outlast a power cut from the moment the record says so.
        await saving.Parts.Folders.SyncFileAsync(file, cancellationToken).ConfigureAwait(false);
        context.Report(Phase, (vm.Settings.Memory, vm.Settings.Memory), (1, 1), (2, 97));
    }

    public async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        var (vm, runtime) = (saving.Vm, saving.Parts.Runtime);
        await runtime.CancelSaveAsync(vm, cancellationToken).ConfigureAwait(false);
        saving.Parts.Folders.DeleteFile(saving.FileOf(context.JobId));
        var status = await runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (!status.IsOff && Saving.WasRunning(context))
        {
            // Whatever it was seen doing: what is seen lags behind what QEMU was just told, and letting run what runs changes nothing.
            await runtime.ResumeAsync(vm, cancellationToken).ConfigureAwait(false);
        }
    }

    private static GodwitException Failed(string file, string problem) =>
        problem.Contains("No space left", StringComparison.Ordinal)
            ? new GodwitException(ErrorCode.NoSpace, $"'{file}' could not be written: its file system is full.", "Free space there; the VM goes on.")
            : new GodwitException(ErrorCode.IoFailed, $"'{file}' could not be written: {problem}", "The VM goes on.");
}

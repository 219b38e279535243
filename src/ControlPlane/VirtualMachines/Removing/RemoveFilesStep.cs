using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;

namespace Godwit.ControlPlane.VirtualMachines.Removing;

/// <summary>Removes what was kept for the VM, and its disks when that was asked for.</summary>
internal sealed class RemoveFilesStep(VirtualMachineParts parts, RemoveOrder order) : IJobStep
{
    public string Name => "Remove its files";

    public string Phase => "Finish";

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var vm = order.Vm;
        await parts.Runtime.ForgetAsync(vm.Id, cancellationToken).ConfigureAwait(false);
        if (vm.Saved is { } saved)
        {
            parts.Folders.DeleteFile(saved.File);
        }
        if (vm.FirmwareVariables is { } variables)
        {
            parts.Folders.DeleteFile(variables);
        }
        foreach (var memory in (vm.Checkpoints ?? []).Select(one => one.Saved?.File).OfType<string>())
        {
            parts.Folders.DeleteFile(memory);
        }
        parts.Folders.RemoveEmpty(Path.Combine(vm.Path, CheckpointFiles.Folder), vm.Path);
        parts.Folders.RemoveEmpty(Path.GetDirectoryName(vm.ConfigurationFile)!, vm.Path);
        foreach (var image in vm.Images.Where(_ => order.DeleteDisks))
        {
            parts.Folders.DeleteFile(parts.Folders.Resolve(image));
        }
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}

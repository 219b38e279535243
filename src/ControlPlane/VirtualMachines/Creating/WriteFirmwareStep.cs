using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Creating;

/// <summary>Gives a VM whose firmware is UEFI its variables. The file's name has the VM's id: it can be nobody else's.</summary>
internal sealed class WriteFirmwareStep(VirtualMachineParts parts, VirtualMachineRecord vm, string file) : IJobStep
{
    public string Name => "Write the firmware's variables";

    public string Phase => "Prepare";

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        parts.Folders.Write(file, parts.Runtime.NewFirmwareVariables());
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        parts.Folders.DeleteFile(file);
        parts.Folders.RemoveEmpty(Path.GetDirectoryName(file)!, vm.Path);
        return Task.CompletedTask;
    }
}

namespace Godwit.Host.VirtualMachines;

/// <summary>What the next VM will run with.</summary>
internal interface IAcceleratorChoice
{
    /// <summary>"kvm" or "tcg" and why; null with the reason when QEMU cannot be used.</summary>
    Task<(string? Accelerator, string? Reason)> DescribeAsync(CancellationToken cancellationToken);
}

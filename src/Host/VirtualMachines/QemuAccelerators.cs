using Godwit.Qemu;
using Godwit.Qemu.Accelerators;

namespace Godwit.Host.VirtualMachines;

/// <summary>Which accelerator VMs get; found out once by running a tiny guest.</summary>
internal sealed class QemuAccelerators(HostFolders folders, string binary, TimeProvider time) : IAcceleratorChoice, IDisposable
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private AcceleratorChoice? _choice;

    /// <exception cref="QemuException">QEMU cannot be used at all.</exception>
    public async Task<AcceleratorChoice> ChooseAsync(CancellationToken cancellationToken)
    {
        if (_choice is { } known)
        {
            return known;
        }
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (_choice is null)
            {
                var version = await QemuVersion.QueryAsync(binary, folders.Run, time, cancellationToken);
                _choice = await new AcceleratorProbe(binary, folders.Run, time)
                    .ChooseAsync(version, folders.Accelerator, cancellationToken);
            }
            return _choice;
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task<(string? Accelerator, string? Reason)> DescribeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var choice = await ChooseAsync(cancellationToken);
            return (Word(choice.Kind), choice.Reason);
        }
        catch (QemuException e)
        {
            return (null, e.Message);
        }
    }

    public void Dispose() => _gate.Dispose();

    /// <summary>"kvm" or "tcg".</summary>
    public static string Word(AcceleratorKind kind) => kind == AcceleratorKind.Kvm ? "kvm" : "tcg";
}

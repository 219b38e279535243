using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Asks the workers of this host what their disks have done.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="time">The clock.</param>
public sealed class StatisticsReader(VirtualMachineParts parts, TimeProvider time)
{
    // A worker that is being started again must not hold up the others.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    /// <summary>The statistics of every VM whose worker answers, by name.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<VirtualMachineStatistics>> ListAsync(CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(parts.Vms.List().Select(vm => FindAsync(vm, cancellationToken))).ConfigureAwait(false);
        return [.. answers.OfType<VirtualMachineStatistics>().OrderBy(each => each.Name, StringComparer.Ordinal)];
    }

    private async Task<VirtualMachineStatistics?> FindAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var status = (await parts.Workers.AskAsync(vm.Id, new GetStatus(), both.Token).ConfigureAwait(false)).Status;
            return status is null ? null : Of(vm.Name, status);
        }
        catch (Exception e) when (e is GodwitException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private static VirtualMachineStatistics Of(string name, WorkerStatus status) => new(
        name,
        status.ProcessId,
        [.. from disk in status.Disks
            where disk.Statistics is not null
            select new VirtualMachineDiskStatistics(disk.Name, disk.Path, disk.Connections, disk.Statistics!, disk.Shortfall)]);
}

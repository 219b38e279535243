using Godwit.Api;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.Host;

/// <summary>Looks at the world before anything else is done, resumes jobs, and goes on looking every second.</summary>
internal sealed class ReconcileLoop(Reconciler reconciler, JobRunner jobs, TimeProvider time, ILogger<ReconcileLoop> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await TryAsync(cancellationToken);
        jobs.Resume();
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await TryAsync(stoppingToken);
        }
    }

    private async Task TryAsync(CancellationToken cancellationToken)
    {
        try
        {
            await reconciler.ReconcileAsync(cancellationToken);
        }
        catch (Exception e) when (e is GodwitException or IOException or UnauthorizedAccessException)
        {
            log.LogError(e, "reconciling failed; trying again");
        }
    }
}

using Godwit.Api;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.Host;

/// <summary>Looks at the world before anything else is done, resumes jobs, and goes on looking every second.</summary>
internal sealed class ReconcileLoop(
    Reconciler reconciler, AutomaticStart starts, JobRunner jobs, TimeProvider time, ILogger<ReconcileLoop> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // VMs that are off and were in order are looked at only every so many rounds.
    private const int RoundsBetweenEverything = 15;
    private int _round;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        reconciler.FollowFiles();
        starts.NoteBoot((await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id", cancellationToken)).Trim());
        await TryAsync(cancellationToken);
        jobs.Resume();
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A VM that takes long to start must not keep the others from being looked at.
        var starting = Task.CompletedTask;
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await TryAsync(stoppingToken);
            if (starting.IsCompleted)
            {
                starting = StartDueAsync(stoppingToken);
            }
        }
        await starting;
    }

    private async Task StartDueAsync(CancellationToken cancellationToken)
    {
        try
        {
            await starts.StartDueAsync(cancellationToken);
        }
        catch (Exception e) when (e is GodwitException or IOException)
        {
            log.LogError(e, "starting VMs failed; trying again");
        }
    }

    private async Task TryAsync(CancellationToken cancellationToken)
    {
        try
        {
            await reconciler.ReconcileAsync(everything: _round++ % RoundsBetweenEverything == 0, cancellationToken);
        }
        catch (Exception e) when (e is GodwitException or IOException or UnauthorizedAccessException)
        {
            log.LogError(e, "reconciling failed; trying again");
        }
    }
}

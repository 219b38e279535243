using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What happens to a step.</summary>
public enum Disturbance
{
    Cancel,
    FailBefore,
    FailAfter,
    KillBefore,
    KillAfter,
}

/// <summary>Disturbs one step once.</summary>
internal static class Disturb
{
    public static Func<JobStepEvent, bool, Task> At(FakeHost host, string step, Disturbance how) => how switch
    {
        Disturbance.Cancel => Once(step, false, told => CancelAsync(host, told)),
        Disturbance.FailBefore => Once(step, false, _ => throw new GodwitException(ErrorCode.IoFailed, "injected")),
        Disturbance.FailAfter => Once(step, true, _ => throw new InvalidOperationException("injected")),
        Disturbance.KillBefore => Once(step, false, _ => host.Faults.KillAsync()),
        _ => Once(step, true, _ => host.Faults.KillAsync()),
    };

    public static Func<JobStepEvent, bool, Task> Once(string step, bool after, Func<JobStepEvent, Task> act)
    {
        var done = false;
        return (told, acted) =>
        {
            if (done || told.IsUndo || told.Step != step || acted != after)
                return Task.CompletedTask;
            done = true;
            return act(told);
        };
    }

    private static Task CancelAsync(FakeHost host, JobStepEvent told)
    {
        try
        {
            host.Jobs.Cancel(told.Job);
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.WrongState)
        {
            // Too late: it ends by itself.
        }
        return Task.CompletedTask;
    }
}

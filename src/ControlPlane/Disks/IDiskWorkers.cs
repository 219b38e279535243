using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Disks;

/// <summary>The processes that serve the disks of VMs, one per VM. Implemented by the host.</summary>
/// <remarks>Thread-safe. Every call may be repeated: what is already so stays so.</remarks>
public interface IDiskWorkers
{
    /// <summary>Makes sure that the VM's worker runs (started, or found running) and answers.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/> when it cannot be started.</exception>
    Task EnsureAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Whether somebody keeps a worker running for the VM; quick, and no promise about the next moment. False also
    /// for a worker that has lost its supervisor: it serves, but nobody would start it again.</summary>
    Task<bool> IsSupervisedAsync(Guid vm, CancellationToken cancellationToken);

    /// <summary>Asks the worker once.</summary>
    /// <returns>The reply, which may hold a problem.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/> when no reply came in time: the request may
    /// or may not have been carried out.</exception>
    Task<WorkerReply> AskAsync(Guid vm, WorkerRequest request, CancellationToken cancellationToken);

    /// <summary>Puts a fresh worker in the place of the one that runs, from the program that is installed now. Its clients wait meanwhile.</summary>
    /// <returns>The status of the new worker.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/> when the installed program does not run, or the new worker
    /// does not answer; or the worker's reason for refusing.</exception>
    Task<WorkerStatus> RestartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Ends worker and supervisor; fine when they do not run.</summary>
    Task StopAsync(Guid vm, CancellationToken cancellationToken);
}

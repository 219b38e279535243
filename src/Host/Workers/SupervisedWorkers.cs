using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Host.Files;
using Godwit.Host.Interop;

namespace Godwit.Host.Workers;

/// <summary>Workers as processes of this computer, each kept running by a supervisor that outlives godwitd.</summary>
internal sealed class SupervisedWorkers(HostFolders folders, ParentFolders parents, WorkerProgram program, TimeProvider time) : IDiskWorkers
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(30);

    private readonly VirtualMachineGates _starting = new();

    public async Task EnsureAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        // The reconcile loop and a job may both find a supervisor missing.
        using (await _starting.EnterAsync(vm.Id, cancellationToken))
        {
            if (SupervisorMark.Find(LockFile(vm.Id)) is null)
            {
                await StartAsync(vm, cancellationToken);
            }
        }
        await UntilAnswersAsync(vm, cancellationToken);
    }

    public Task<bool> IsSupervisedAsync(Guid vm, CancellationToken cancellationToken) =>
        Task.FromResult(SupervisorMark.Find(LockFile(vm)) is not null);

    public async Task<WorkerReply> AskAsync(Guid vm, WorkerRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await WorkerClient.AskAsync(ControlSocket(vm), request, time, cancellationToken);
        }
        catch (GodwitException) when (request is GetStatus)
        {
            // The worker may have died with the question: its successor answers it.
            return await WorkerClient.AskAsync(ControlSocket(vm), request, time, cancellationToken);
        }
    }

    public async Task<WorkerStatus> RestartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        await CheckProgramAsync(cancellationToken);
        var before = await AskAsync(vm.Id, new GetStatus(), cancellationToken);
        var reply = await AskAsync(vm.Id, new RestartWorker(), cancellationToken);
        if ((before.Problem ?? reply.Problem) is { } problem)
        {
            throw new GodwitException(problem);
        }
        var since = time.GetTimestamp();
        while (true)
        {
            try
            {
                if ((await AskAsync(vm.Id, new GetStatus(), cancellationToken)).Status is { } status && status.ProcessId != before.Status?.ProcessId)
                {
                    return status;
                }
            }
            catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable && time.GetElapsedTime(since) < StartLimit)
            {
                // Asked the old one with its last breath.
            }
            if (time.GetElapsedTime(since) > StartLimit)
            {
                throw new GodwitException(
                    ErrorCode.Unavailable, $"The disk worker of '{vm.Name}' has ended, and no other answers after {StartLimit.TotalSeconds:0} s.",
                    $"See {Path.Combine(folders.StateOf(vm.Id), "worker.log")}.");
            }
            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    public async Task StopAsync(Guid vm, CancellationToken cancellationToken)
    {
        if (SupervisorMark.Find(LockFile(vm)) is null && !File.Exists(ControlSocket(vm)))
        {
            return;
        }
        try
        {
            await WorkerClient.AskAsync(ControlSocket(vm), new StopWorker(), time, cancellationToken);
        }
        catch (GodwitException)
        {
            if (SupervisorMark.Find(LockFile(vm)) is { } supervisor)
            {
                LibC.AskToEnd(supervisor);
            }
        }
        await UntilGoneAsync(vm, cancellationToken);
    }

    /// <summary>A program that does not run, on a host half way through an upgrade say, must not take the place of one that does.</summary>
    private async Task CheckProgramAsync(CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(StartLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var result = await program.RunAsync(["help"], both.Token);
        if (result.ExitCode != 0)
        {
            throw new GodwitException(
                ErrorCode.Unavailable, $"The installed worker program does not run (exit code {result.ExitCode}): {result.Error.Trim()}",
                "Mend the installation; the worker that runs goes on.");
        }
    }

    private async Task StartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        folders.Prepare(vm.Id);
        WriteConfig(vm);
        DurableFile.Write(
            Path.Combine(folders.StateOf(vm.Id), "folders.json"), JsonSerializer.SerializeToUtf8Bytes(parents, ApiJson.Default.ParentFolders));
        using var limit = new CancellationTokenSource(StartLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        string[] arguments = ["supervise", "--config", folders.StateOf(vm.Id), "--run", folders.RunOf(vm.Id)];
        try
        {
            if (await program.StartAsync(arguments, token => IsReadyAsync(vm.Id, token), both.Token) is { } ended)
            {
                throw new GodwitException(
                    ErrorCode.Unavailable, $"The disk worker of '{vm.Name}' ended with {ended.ExitCode}: {ended.Error.Trim()}",
                    $"See {Path.Combine(folders.StateOf(vm.Id), "worker.log")}.");
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new GodwitException(ErrorCode.Unavailable, $"The disk worker of '{vm.Name}' did not start within {StartLimit.TotalSeconds:0} s.");
        }
    }

    /// <summary>The new supervisor's worker answers; one left from an earlier supervisor does not count.</summary>
    private async Task<bool> IsReadyAsync(Guid vm, CancellationToken cancellationToken)
    {
        try
        {
            return SupervisorMark.Find(LockFile(vm)) is { } supervisor
                && (await WorkerClient.AskAsync(ControlSocket(vm), new GetStatus(), time, cancellationToken)).Status
                    ?.SupervisorProcessId == supervisor;
        }
        catch (GodwitException e) when (e.Problem.Code == ErrorCode.Unavailable)
        {
            return false;
        }
    }

    /// <summary>Before the first start, and when the disks have become other images since: else the file is the worker's and says where they are.</summary>
    private void WriteConfig(VirtualMachineRecord vm)
    {
        var path = Path.Combine(folders.StateOf(vm.Id), "worker.json");
        var before = ReadConfig(path);
        if (before is not null && before.Generation >= vm.DiskGeneration)
        {
            return;
        }
        // What is marked as changed says nothing about other images; limits and lease are the disk's whatever it holds.
        var disks = vm.Disks.Select(disk => new WorkerDiskConfig(new WorkerDisk(disk.Name, disk.Path, disk.Format, Cache: disk.Cache))
        {
            Limits = before?.Disks.FirstOrDefault(one => one.Disk.Name == disk.Name)?.Limits,
            Leased = before?.Disks.Any(one => one.Disk.Name == disk.Name && one.Leased) == true,
        });
        DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(new WorkerConfig(vm.Id, [.. disks], vm.DiskGeneration), ApiJson.Default.WorkerConfig));
    }

    private static WorkerConfig? ReadConfig(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), ApiJson.Default.WorkerConfig) : null;
        }
        catch (JsonException e)
        {
            throw new GodwitException(
                new Problem(ErrorCode.Corrupt, $"'{path}' is damaged: {e.Message}", "It says where the VM's disks are; restore it from a backup."), e);
        }
    }

    private async Task UntilAnswersAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var since = time.GetTimestamp();
        while (true)
        {
            try
            {
                await WorkerClient.AskAsync(ControlSocket(vm.Id), new GetStatus(), time, cancellationToken);
                return;
            }
            catch (GodwitException e) when (time.GetElapsedTime(since) < StartLimit && e.Problem.Code == ErrorCode.Unavailable)
            {
                await Task.Delay(PollInterval, time, cancellationToken);
            }
        }
    }

    private async Task UntilGoneAsync(Guid vm, CancellationToken cancellationToken)
    {
        var since = time.GetTimestamp();
        while (SupervisorMark.Find(LockFile(vm)) is { } supervisor)
        {
            if (time.GetElapsedTime(since) > StopLimit)
            {
                throw new GodwitException(
                    ErrorCode.Unavailable, $"The disk worker's supervisor (process {supervisor}) does not end.",
                    $"See {Path.Combine(folders.StateOf(vm), "worker.log")}.");
            }
            await Task.Delay(PollInterval, time, cancellationToken);
        }
        // Left by a supervisor that was killed; the next one would replace it as well.
        File.Delete(ControlSocket(vm));
    }

    private string LockFile(Guid vm) => Path.Combine(folders.StateOf(vm), "supervisor.lock");

    private string ControlSocket(Guid vm) => Path.Combine(folders.RunOf(vm), "control.sock");
}

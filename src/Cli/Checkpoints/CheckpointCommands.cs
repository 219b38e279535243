using System.CommandLine;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Jobs;
using Godwit.Cli.Text;
using Godwit.Cli.VirtualMachines;

namespace Godwit.Cli.Checkpoints;

/// <summary>The commands of the noun "checkpoint".</summary>
internal static class CheckpointCommands
{
    /// <summary>Makes the noun with all its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global) => new("checkpoint", "States of a VM that it can go back to")
    {
        CreateCreate(shell, global),
        CheckpointTreeList.Create(shell, global),
        CheckpointApply.Create(shell, global),
        CreateRename(shell, global),
        CreateRemove(shell, global),
        CreateMerge(shell, global),
    };

    /// <summary>The argument that names a checkpoint.</summary>
    public static Argument<string> CheckpointArgument() => new("CHECKPOINT") { Description = "Name or id of the checkpoint" };

    private static Verb CreateCreate(Shell shell, GlobalOptions global)
    {
        var (vm, noWait) = (VmCommands.NameArgument(), AcceptedJob.NoWaitOption());
        var name = new Option<string?>("--name") { Description = "What to call it (else the VM's name and the time)", HelpName = "TEXT" };
        var type = new Option<CheckpointType?>("--type")
        {
            Description = "What it keeps: standard, production, production-only (else what the VM's setting says)",
            HelpName = "WORD",
            CustomParser = result =>
            {
                if (Kebab.Parse<CheckpointType>(result.Tokens[0].Value) is { } word and not CheckpointType.Disabled)
                    return word;
                result.AddError("--type: standard, production, production-only are possible");
                return null;
            },
        };
        var verb = new Verb(
            "create", "Takes a checkpoint of a VM: its disks and, while it runs, its memory; it stands still while memory is written",
            "godwit checkpoint create web --name before-upgrade")
        {
            vm, name, type, noWait,
        };
        verb.AddJson(AcceptedJob.JsonHelp);
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var spec = new CheckpointSpec(session.Get(name), session.Get(type));
            return await AcceptedJob.RunAsync(session, await session.Client.CreateCheckpointAsync(session.Get(vm), spec, cancellationToken), noWait);
        });
        return verb;
    }

    private static Verb CreateRename(Shell shell, GlobalOptions global)
    {
        var (vm, checkpoint) = (VmCommands.NameArgument(), CheckpointArgument());
        var newName = new Argument<string>("NEW-NAME") { Description = "Its new name" };
        var verb = new Verb("rename", "Gives a checkpoint another name", "godwit checkpoint rename web before after") { vm, checkpoint, newName };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            await session.Client.RenameCheckpointAsync(session.Get(vm), session.Get(checkpoint), session.Get(newName), cancellationToken);
            session.Talk.Say($"checkpoint {session.Get(checkpoint)} is now {session.Get(newName)}");
            return ExitCode.Ok;
        });
        return verb;
    }

    private static Verb CreateRemove(Shell shell, GlobalOptions global)
    {
        var (vm, checkpoint, noWait) = (VmCommands.NameArgument(), CheckpointArgument(), AcceptedJob.NoWaitOption());
        var subtree = new Option<bool>("--subtree") { Description = "Remove all checkpoints below it too" };
        var verb = new Verb(
            "remove", "Removes a checkpoint and merges its disk files, while the VM runs; ^C stops the merging, 'merge' goes on with it",
            "godwit checkpoint remove web before")
        {
            vm, checkpoint, subtree, noWait,
        };
        verb.AddJson(AcceptedJob.JsonHelp);
        verb.Does(shell, global, async (session, cancellationToken) => await AcceptedJob.RunAsync(
            session,
            await session.Client.RemoveCheckpointAsync(session.Get(vm), session.Get(checkpoint), session.Get(subtree), cancellationToken), noWait));
        return verb;
    }

    private static Verb CreateMerge(Shell shell, GlobalOptions global)
    {
        var (vm, noWait) = (VmCommands.NameArgument(), AcceptedJob.NoWaitOption());
        var verb = new Verb("merge", "Merges what removed checkpoints have left, after a merging that was stopped or failed", "godwit checkpoint merge web") { vm, noWait };
        verb.AddJson(AcceptedJob.JsonHelp);
        verb.Does(shell, global, async (session, cancellationToken) =>
            await AcceptedJob.RunAsync(session, await session.Client.MergeCheckpointsAsync(session.Get(vm), cancellationToken), noWait));
        return verb;
    }
}

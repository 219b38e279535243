using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;
using Godwit.Cli.VirtualMachines;

namespace Godwit.Cli.Checkpoints;

/// <summary>godwit checkpoint list</summary>
internal static class CheckpointTreeList
{
    private const string Indent = "  ";

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var verb = new Verb("list", "Shows the checkpoints of a VM as a tree, with where the VM is now", "godwit checkpoint list web") { name };
        verb.AddJson("Write the checkpoints as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var list = await session.Client.ListCheckpointsAsync(session.Get(name), cancellationToken);
            if (!session.TryWriteJson(list, JsonText.Api.CheckpointList))
                Write(session, list);
            return ExitCode.Ok;
        });
        return verb;
    }

    private static void Write(Session session, CheckpointList list)
    {
        if (list.Checkpoints.Count == 0)
        {
            session.Talk.Say("no checkpoints; take one with: godwit checkpoint create");
        }
        else
        {
            var table = new Table(session.Paint, "CHECKPOINT", "TAKEN", "GIVES", "ID");
            AddBelow(session, table, list, null, "");
            table.Write(session.Shell.Out);
        }

        if (list.Unmerged > 0)
            session.Talk.Say($"{list.Unmerged} removed, whose files are still needed or not merged yet");
    }

    private static void AddBelow(Session session, Table table, CheckpointList list, Guid? parent, string indent)
    {
        foreach (var one in list.Checkpoints.Where(one => one.ParentId == parent))
        {
            table.Add(indent + one.Name, Clock.Format(one.Created), Gives(one), one.Id.ToString());
            AddBelow(session, table, list, one.Id, indent + Indent);
            if (one.IsCurrent)
                table.AddColoured(session.Paint.Bold, indent + Indent + "now", "", "", "");
        }
    }

    private static string Gives(Checkpoint one) => one.State == VirtualMachineState.Saved ? "disks, memory" : one.Type == CheckpointType.Production ? "disks, still" : "disks";
}

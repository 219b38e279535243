namespace Godwit.Worker.Interop;

/// <summary>Standard input, output and error.</summary>
internal static class StandardStreams
{
    /// <summary>Points all three at nothing, so that whoever started us does not wait on a pipe that we hold open.</summary>
    internal static void Detach()
    {
        var nothing = LibC.Open("/dev/null", LibC.ReadWrite | LibC.CloseOnExec, 0);
        if (nothing < 0)
            return;
        for (var stream = 0; stream <= 2; stream++)
            _ = LibC.Duplicate(nothing, stream);
        _ = LibC.Close(nothing);
    }
}

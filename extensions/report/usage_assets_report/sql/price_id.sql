  concat_ws('/',
{priced_as}, if(costs.connection in {mixed}, null, {told_apart}))

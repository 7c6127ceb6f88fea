concat_ws('/', costs.context_window, costs.inference_geo)
